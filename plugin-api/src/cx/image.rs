//! Single pictures: finished, saved, in a grid.

use atelier_plugin_abi::{Buffer, Field};

use super::{context, getters, present, present_field, setters};

/// A list of pictures, to look at and to change in place.
macro_rules! picture_list {
    () => {
        /// Number of pictures.
        #[must_use]
        pub fn len(&self) -> usize {
            crate::cx::field(self.cx, atelier_plugin_abi::Field::PictureCount)
        }

        /// Whether there is no picture.
        #[must_use]
        pub fn is_empty(&self) -> bool {
            self.len() == 0
        }

        /// A picture, or `None` behind the last one.
        #[must_use]
        pub fn image(&self, index: usize) -> Option<crate::Image<'_>> {
            let view = self.buffers.view(atelier_plugin_abi::Buffer::Image, index as u64);
            view.ok().map(Into::into)
        }

        /// A picture to change, or `None` behind the last one. Put back if the hook fails.
        #[must_use]
        pub fn image_mut(&mut self, index: usize) -> Option<crate::ImageMut<'_>> {
            let view = self.buffers.view_mut(atelier_plugin_abi::Buffer::Image, index as u64);
            view.ok().map(Into::into)
        }
    };
}
pub(crate) use picture_list;

macro_rules! picture {
    () => {
        facts!();

        /// The picture.
        #[must_use]
        pub fn image(&self) -> crate::Image<'_> {
            crate::cx::lent(self.buffers.view(atelier_plugin_abi::Buffer::Image, 0)).into()
        }
    };
}

/// Which picture it is.
macro_rules! facts {
    () => {
        /// Picture within the run, from 0.
        #[must_use]
        pub fn index(&self) -> u32 {
            self.cx.frame().image
        }

        /// Picture within its batch, from 0; `None` where it belongs to none, and with hosts of ABI 1.0.
        #[must_use]
        pub fn batch_index(&self) -> Option<u32> {
            crate::cx::present_field(self.cx, atelier_plugin_abi::Field::BatchIndex)
        }

        /// The iteration that drew it, from 0.
        #[must_use]
        pub fn iteration(&self) -> u32 {
            self.cx.frame().iteration
        }

        crate::cx::getters! {
            /// The picture's prompt.
            prompt: String = Prompt;
            /// The picture's negative prompt.
            negative_prompt: String = NegativePrompt;
            /// The picture's seed.
            seed: i64 = Seed;
            /// The picture's variation seed.
            subseed: i64 = Subseed;
        }
    };
}

macro_rules! picture_mut {
    () => {
        /// The picture, to change. Put back if the hook fails.
        #[must_use]
        pub fn image_mut(&mut self) -> crate::ImageMut<'_> {
            crate::cx::lent(self.buffers.view_mut(atelier_plugin_abi::Buffer::Image, 0)).into()
        }

        /// Replaces the picture by a black one of another size.
        ///
        /// # Errors
        /// A size of 0, or more than the host allows.
        pub fn replace(&mut self, width: u32, height: u32) -> Result<(), crate::PluginError> {
            Ok(self.buffers.resize(
                atelier_plugin_abi::Buffer::Image,
                atelier_plugin_abi::codes::ListOp::Replace,
                0,
                (u64::from(width), u64::from(height)),
            )?)
        }
    };
}

context! {
    /// One finished picture.
    ImageCx: prepared args infotext params services
}

impl ImageCx<'_> {
    picture!();
    picture_mut!();
}

context! {
    /// What is laid over one picture, where a run has a mask; both are in the size of the whole picture.
    /// Since ABI 1.1.
    MaskoverlayCx: prepared args infotext params services
}

impl MaskoverlayCx<'_> {
    facts!();

    /// The picture that the run starts from, or `None` without a mask.
    #[must_use]
    pub fn init_image(&self) -> Option<crate::Image<'_>> {
        present(self.buffers.view(Buffer::InitImage, 0)).map(Into::into)
    }

    /// Where the drawn part belongs in the whole picture: x, y, width and height in pixels. `None` where it
    /// is the whole.
    #[must_use]
    pub fn paste_to(&self) -> Option<[u32; 4]> {
        let value: serde_json::Value = present_field(self.cx, Field::PasteTo)?;
        serde_json::from_value(value).ok()
    }

    /// The mask as it is saved and returned, or `None` without one. What is laid over the picture was
    /// made of it already.
    #[must_use]
    pub fn mask(&self) -> Option<crate::Mask<'_>> {
        present(self.buffers.view(Buffer::MaskForOverlay, 0)).map(Into::into)
    }

    /// The mask to change. Put back if the hook fails.
    #[must_use]
    pub fn mask_mut(&mut self) -> Option<crate::MaskMut<'_>> {
        present(self.buffers.view_mut(Buffer::MaskForOverlay, 0)).map(Into::into)
    }

    /// What stays of the first picture, or `None` without a mask. It is transparent where the option
    /// `overlay_inpaint` is off; nothing is laid over then unless a plugin writes something.
    #[must_use]
    pub fn overlay(&self) -> Option<crate::Overlay<'_>> {
        present(self.buffers.view(Buffer::OverlayImage, 0)).map(Into::into)
    }

    /// What stays of the first picture, to change. Put back if the hook fails.
    #[must_use]
    pub fn overlay_mut(&mut self) -> Option<crate::OverlayMut<'_>> {
        present(self.buffers.view_mut(Buffer::OverlayImage, 0)).map(Into::into)
    }
}

context! {
    /// A picture that is about to be written: single ones and the grid.
    SaveCx: prepared args
}

impl SaveCx<'_> {
    picture!();
    picture_mut!();

    getters! {
        /// File name without folder and ending.
        file_name: String = FileName;
        /// The infotext that goes into the file.
        picture_infotext: String = Infotext;
    }

    setters! {
        /// Sets the file name, without folder and ending.
        set_file_name: &str = FileName, Text;
        /// Sets the infotext that goes into the file.
        set_picture_infotext: &str = Infotext, Text;
    }
}

context! {
    /// A picture that was written.
    SavedCx: prepared args
}

impl SavedCx<'_> {
    picture!();

    getters! {
        /// Where it was written.
        path: String = Path;
        /// The infotext in the file.
        picture_infotext: String = Infotext;
    }
}

context! {
    /// A grid that is about to be composed.
    GridCx: prepared args
}

impl GridCx<'_> {
    picture_list!();

    getters! {
        /// Columns.
        columns: u32 = Columns;
        /// Rows.
        rows: u32 = Rows;
    }

    setters! {
        /// Sets the number of columns.
        set_columns: u32 = Columns, Int;
        /// Sets the number of rows.
        set_rows: u32 = Rows, Int;
    }
}
