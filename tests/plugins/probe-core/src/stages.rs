//! What each context has, in the words of [`Stage`]. The parts are those of the contexts themselves.

#[allow(clippy::wildcard_imports, reason = "every context has its block here")]
use atelier_plugin_api::{
    Image, ImageMut, Live, OwnedConditioning, OwnedTensor, RunOptions, Snapshot, cx::*,
};
use serde_json::{Value, json};

use crate::{
    script::Place,
    stage::{Answer, Bytes, Facts, Floats, Stage, absent, absent_floats, given},
};

macro_rules! stage {
    ($context:ident: $($part:ident)* $({ $($own:tt)* })?) => {
        impl Stage for $context<'_> {
            fn live_options(&self) -> Live<'_> {
                self.live()
            }
            fn is_cancelled(&self) -> bool {
                self.cancelled()
            }
            $( $part!(); )*
            $( $($own)* )?
        }
    };
}

macro_rules! prepared {
    () => {
        fn id_of_run(&self) -> Option<String> {
            Some(self.run_id())
        }
        fn snapshot_options(&self) -> Answer<Snapshot<'_>> {
            Ok(self.snapshot())
        }
        fn own_options(&self) -> Answer<RunOptions<'_>> {
            Ok(self.run_options())
        }
    };
}

macro_rules! args {
    () => {
        fn argument(&self, name: &str) -> Answer<Value> {
            Ok(self.args().get(name)?)
        }
    };
}

macro_rules! infotext {
    () => {
        fn add_infotext(&self, key: &str, value: &Value) -> Answer<()> {
            self.infotext(key, value)
        }
    };
}

macro_rules! facts {
    ($self:ident, $map:ident: $($name:ident)*) => {
        $( $map.insert(stringify!($name).to_owned(), Value::from($self.$name())); )*
    };
}

macro_rules! params {
    () => {
        fn params(&self, map: &mut Facts) {
            facts!(self, map: is_img2img steps cfg_scale width height sampler scheduler batch_size
                n_iter denoising_strength subseed_strength do_not_save_samples do_not_save_grid);
        }
    };
}

macro_rules! params_mut {
    () => {
        fn set_param(&mut self, name: &str, value: &Value) -> Answer<bool> {
            match name {
                "steps" => self.set_steps(given(value)?)?,
                "cfg_scale" => self.set_cfg_scale(given(value)?)?,
                "sampler" => self.set_sampler(&given::<String>(value)?)?,
                "scheduler" => self.set_scheduler(&given::<String>(value)?)?,
                "denoising_strength" => self.set_denoising_strength(given(value)?)?,
                "do_not_save_samples" => self.set_do_not_save_samples(given(value)?)?,
                "do_not_save_grid" => self.set_do_not_save_grid(given(value)?)?,
                _ => return Ok(false),
            }
            Ok(true)
        }
    };
}

macro_rules! services {
    () => {
        fn text_to_cond(&self, text: &str) -> Answer<OwnedConditioning> {
            self.encode_text(text)
        }
        fn to_pixels(&self, shape: [usize; 4], latents: &[f32]) -> Answer<OwnedTensor> {
            self.decode(shape, latents)
        }
        fn to_latents(&self, shape: [usize; 4], pixels: &[f32]) -> Answer<OwnedTensor> {
            self.encode(shape, pixels)
        }
        fn keep_picture(&self, suffix: &str, picture: Image<'_>) -> Answer<Option<String>> {
            self.save_picture(suffix, picture)
        }
    };
}

macro_rules! iteration {
    () => {
        fn locate(&self, place: &mut Place) {
            place.iteration = self.iteration();
        }
    };
}

macro_rules! step {
    () => {
        fn locate(&self, place: &mut Place) {
            place.step = self.step();
            place.total_steps = self.total_steps();
            place.model_call = self.model_call();
        }
        fn noise_level(&self) -> Option<f64> {
            Some(self.sigma())
        }
    };
}

/// Lists under their short names.
macro_rules! element_lists {
    ($($name:literal: $get:ident $set:ident $type:ty;)+) => {
        fn lists(&self, map: &mut Facts) {
            $( map.insert($name.to_owned(), Value::from(self.$get())); )+
        }
        fn set_element(&mut self, list: &str, index: usize, value: &Value) -> Answer<bool> {
            match list {
                $( $name => {
                    let value: $type = given(value)?;
                    self.$set(index, value.as_lent())?;
                } )+
                _ => return Ok(false),
            }
            Ok(true)
        }
    };
}

/// What a setter of a list takes of a value.
trait AsLent {
    type Lent<'a>
    where
        Self: 'a;
    fn as_lent(&self) -> Self::Lent<'_>;
}
impl AsLent for String {
    type Lent<'a> = &'a str;
    fn as_lent(&self) -> &str {
        self
    }
}
impl AsLent for i64 {
    type Lent<'a> = i64;
    fn as_lent(&self) -> i64 {
        *self
    }
}

macro_rules! batch_lists {
    () => {
        element_lists! {
            "prompts": prompts set_prompt String;
            "negative_prompts": negative_prompts set_negative_prompt String;
            "seeds": seeds set_seed i64;
            "subseeds": subseeds set_subseed i64;
        }
    };
}

/// Floats by name, the main ones first.
macro_rules! floats {
    ($main:literal $get:ident $get_mut:ident $(, $name:literal $other:ident $other_mut:ident)*) => {
        fn floats(&self, buffer: &str) -> Answer<Floats<'_>> {
            match buffer {
                "" | $main => {
                    let view = self.$get();
                    Ok(Floats { shape: view.shape.to_vec(), data: view.data })
                }
                $( $name => {
                    let view = self.$other();
                    Ok(Floats { shape: view.shape.to_vec(), data: view.data })
                } )*
                _ => absent_floats(buffer),
            }
        }
        fn floats_mut(&mut self, buffer: &str) -> Answer<&mut [f32]> {
            match buffer {
                "" | $main => Ok(self.$get_mut().data),
                $( $name => Ok(self.$other_mut().data), )*
                _ => absent_floats(buffer),
            }
        }
    };
}

macro_rules! conditioning {
    () => {
        fn resize_cond(&mut self, tokens: usize) -> Answer<()> {
            self.replace_cond(tokens)
        }
        fn resize_uncond(&mut self, tokens: usize) -> Answer<()> {
            self.replace_uncond(tokens)
        }
    };
}

macro_rules! picture_list {
    () => {
        fn pictures(&self) -> usize {
            self.len()
        }
        fn picture(&self, index: usize) -> Answer<Image<'_>> {
            self.image(index).map_or_else(|| absent(&format!("picture {index}")), Ok)
        }
        fn picture_mut(&mut self, index: usize) -> Answer<ImageMut<'_>> {
            self.image_mut(index).map_or_else(|| absent(&format!("picture {index} to change")), Ok)
        }
    };
}

macro_rules! one_picture {
    () => {
        fn locate(&self, place: &mut Place) {
            place.image = self.index();
        }
        fn pictures(&self) -> usize {
            1
        }
        fn picture(&self, _: usize) -> Answer<Image<'_>> {
            Ok(self.image())
        }
    };
}

macro_rules! one_picture_mut {
    () => {
        fn picture_mut(&mut self, _: usize) -> Answer<ImageMut<'_>> {
            Ok(self.image_mut())
        }
        fn replace_picture(&mut self, _: usize, width: u32, height: u32) -> Answer<()> {
            self.replace(width, height)
        }
    };
}

stage! { ModelCx: { fn own(&self, map: &mut Facts) { facts!(self, map: model_name model_hash); } } }

stage! { RequestCx: args params {
    fn own(&self, map: &mut Facts) {
        facts!(self, map: prompt negative_prompt seed subseed);
    }
    params_mut!();
    fn set_own(&mut self, name: &str, value: &Value) -> Answer<bool> {
        match name {
            "prompt" => self.set_prompt(&given::<String>(value)?)?,
            "negative_prompt" => self.set_negative_prompt(&given::<String>(value)?)?,
            "seed" => self.set_seed(given(value)?)?,
            "subseed" => self.set_subseed(given(value)?)?,
            "subseed_strength" => self.set_subseed_strength(given(value)?)?,
            "width" => self.set_width(given(value)?)?,
            "height" => self.set_height(given(value)?)?,
            "batch_size" => self.set_batch_size(given(value)?)?,
            "n_iter" => self.set_n_iter(given(value)?)?,
            _ => return Ok(false),
        }
        Ok(true)
    }
    /// A request has one prompt for all its pictures: the first counts.
    fn set_element(&mut self, list: &str, index: usize, value: &Value) -> Answer<bool> {
        match (list, index) {
            ("prompts", 0) => self.set_own("prompt", value),
            ("negative_prompts", 0) => self.set_own("negative_prompt", value),
            ("seeds", 0) => self.set_own("seed", value),
            ("subseeds", 0) => self.set_own("subseed", value),
            _ => Ok(false),
        }
    }
    fn read_overrides(&self) -> Answer<Facts> {
        Ok(self.overrides().all()?)
    }
    fn add_override(&self, key: &str, value: &Value) -> Answer<()> {
        Ok(self.overrides().set(key, value)?)
    }
} }

/// `start` gets its context shared, everything else gets it to itself.
pub(crate) struct Starting<'a>(pub(crate) &'a RunStart<'a>);

impl<'a> std::ops::Deref for Starting<'a> {
    type Target = RunStart<'a>;
    fn deref(&self) -> &RunStart<'a> {
        self.0
    }
}

stage! { Starting: prepared args params {
    fn lists(&self, map: &mut Facts) {
        map.insert("prompts".to_owned(), self.all_prompts().into());
        map.insert("negative_prompts".to_owned(), self.all_negative_prompts().into());
        map.insert("seeds".to_owned(), self.all_seeds().into());
        map.insert("subseeds".to_owned(), self.all_subseeds().into());
    }
} }

stage! { RunCx: prepared args infotext params params_mut services {
    fn own(&self, map: &mut Facts) {
        facts!(self, map: model_name model_hash);
    }
    element_lists! {
        "prompts": all_prompts set_prompt String;
        "negative_prompts": all_negative_prompts set_negative_prompt String;
        "seeds": all_seeds set_seed i64;
        "subseeds": all_subseeds set_subseed i64;
    }
} }

stage! { BatchCx: prepared args infotext params params_mut services iteration batch_lists }

/// Lists that can only be looked at.
macro_rules! fixed_lists {
    ($($name:ident)+) => {
        fn lists(&self, map: &mut Facts) {
            facts!(self, map: $($name)+);
        }
    };
}

stage! { NetworksCx: prepared args infotext params services iteration {
    fixed_lists!(prompts negative_prompts seeds subseeds);
    fn own(&self, map: &mut Facts) {
        facts!(self, map: is_second_pass);
        map.insert("networks".to_owned(), json!(self.networks()));
    }
} }

stage! { HiresCx: prepared args infotext params services iteration {
    fixed_lists!(prompts negative_prompts seeds subseeds);
    fn own(&self, map: &mut Facts) {
        facts!(self, map: hr_width hr_height hr_steps);
    }
    fn set_own(&mut self, name: &str, value: &Value) -> Answer<bool> {
        match name {
            "cfg_scale" => self.set_cfg_scale(given(value)?)?,
            "denoising_strength" => self.set_denoising_strength(given(value)?)?,
            _ => return Ok(false),
        }
        Ok(true)
    }
} }

stage! { ExtraNoiseCx: prepared args infotext services iteration {
    fixed_lists!(seeds);
    fn floats(&self, buffer: &str) -> Answer<Floats<'_>> {
        let view = match buffer {
            "" | "noise" => self.noise(),
            "x" => self.x(),
            "noised" => self.noised(),
            _ => return absent_floats(buffer),
        };
        Ok(Floats { shape: view.shape.to_vec(), data: view.data })
    }
    fn floats_mut(&mut self, buffer: &str) -> Answer<&mut [f32]> {
        match buffer {
            "" | "noise" => Ok(self.noise_mut().data),
            _ => absent_floats(buffer),
        }
    }
} }

stage! { SamplingCx: prepared args infotext params services iteration conditioning {
    floats!("x" x x_mut, "noise" noise noise_mut, "cond" cond cond_mut,
        "uncond" uncond uncond_mut);
} }

stage! { DenoiserCx: prepared services step conditioning {
    floats!("x" x x_mut, "cond" cond cond_mut, "uncond" uncond uncond_mut);
    fn set_own(&mut self, name: &str, value: &Value) -> Answer<bool> {
        if name != "sigma" {
            return Ok(false);
        }
        self.set_sigma(given(value)?)?;
        Ok(true)
    }
} }

stage! { DenoisedCx: prepared services step {
    floats!("cond" cond cond_mut, "uncond" uncond uncond_mut);
} }

stage! { CombineCx: prepared step {
    fn own(&self, map: &mut Facts) {
        facts!(self, map: cfg_scale);
    }
    floats!("combined" combined combined_mut);
} }

stage! { MaskBlendCx: prepared args infotext services step {
    fn own(&self, map: &mut Facts) {
        facts!(self, map: is_final_blend);
    }
    fn floats(&self, buffer: &str) -> Answer<Floats<'_>> {
        let view = match buffer {
            "" | "blended" => self.blended(),
            "current" => self.current(),
            "init" => self.init(),
            "mask" => self.mask(),
            _ => return absent_floats(buffer),
        };
        Ok(Floats { shape: view.shape.to_vec(), data: view.data })
    }
    fn floats_mut(&mut self, buffer: &str) -> Answer<&mut [f32]> {
        match buffer {
            "" | "blended" => Ok(self.blended_mut().data),
            _ => absent_floats(buffer),
        }
    }
} }

stage! { AfterCfgCx: prepared services step { floats!("denoised" denoised denoised_mut); } }

stage! { AfterStepCx: prepared services step { floats!("x" x x_mut); } }

stage! { LatentsCx: prepared args infotext params services iteration {
    floats!("samples" samples samples_mut);
} }

stage! { PixelsCx: prepared args infotext params services iteration {
    floats!("pixels" pixels pixels_mut);
} }

stage! { ImagesCx: prepared args infotext params services iteration batch_lists picture_list {
    fn add_picture(&mut self, width: u32, height: u32, like: usize) -> Answer<()> {
        self.push(width, height, like)
    }
    fn remove_picture(&mut self, index: usize) -> Answer<()> {
        self.remove(index)
    }
    fn replace_picture(&mut self, index: usize, width: u32, height: u32) -> Answer<()> {
        self.replace(index, width, height)
    }
} }

stage! { ImageCx: prepared args infotext params services one_picture one_picture_mut }

stage! { MaskoverlayCx: prepared args infotext params services {
    fn locate(&self, place: &mut Place) {
        place.image = self.index();
    }
    fn bytes(&self, buffer: &str) -> Option<Bytes<'_>> {
        match buffer {
            "mask" => self.mask().map(|it| Bytes { size: (it.width, it.height), data: it.data }),
            _ => self.overlay().map(|it| Bytes { size: (it.width, it.height), data: it.data }),
        }
    }
    fn bytes_mut(&mut self, buffer: &str) -> Option<&mut [u8]> {
        match buffer {
            "mask" => self.mask_mut().map(|it| it.data),
            _ => self.overlay_mut().map(|it| it.data),
        }
    }
} }

stage! { SaveCx: prepared args one_picture one_picture_mut {
    fn own(&self, map: &mut Facts) {
        facts!(self, map: file_name picture_infotext);
    }
    fn set_own(&mut self, name: &str, value: &Value) -> Answer<bool> {
        match name {
            "file_name" => self.set_file_name(&given::<String>(value)?)?,
            "infotext" => self.set_picture_infotext(&given::<String>(value)?)?,
            _ => return Ok(false),
        }
        Ok(true)
    }
} }

stage! { SavedCx: prepared args one_picture {
    fn own(&self, map: &mut Facts) {
        facts!(self, map: path picture_infotext);
    }
} }

stage! { GridCx: prepared args picture_list {
    fn own(&self, map: &mut Facts) {
        facts!(self, map: columns rows);
    }
    fn set_own(&mut self, name: &str, value: &Value) -> Answer<bool> {
        match name {
            "columns" => self.set_columns(given(value)?)?,
            "rows" => self.set_rows(given(value)?)?,
            _ => return Ok(false),
        }
        Ok(true)
    }
} }

stage! { ResultCx: prepared args params services picture_list {
    fn own(&self, map: &mut Facts) {
        facts!(self, map: infotexts);
    }
    fn set_element(&mut self, list: &str, index: usize, value: &Value) -> Answer<bool> {
        if list != "infotexts" {
            return Ok(false);
        }
        self.set_infotext(index, &given::<String>(value)?)?;
        Ok(true)
    }
} }

stage! { FinishCx: prepared args {
    fn own(&self, map: &mut Facts) {
        map.insert("outcome".to_owned(), format!("{:?}", self.outcome()).to_lowercase().into());
    }
} }
