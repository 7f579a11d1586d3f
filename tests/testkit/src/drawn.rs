//! What came of a run, with what tests want to know of it.

use std::ops::Deref;

use atelier_host::{
    output::infotext_parse::ParsedInfotext,
    run::{Finished, RunState, seam::LedgerRow},
};
use image::RgbImage;

/// A run that is over. It is a [`Finished`] with assertions.
#[derive(Debug)]
pub struct Drawn(Finished);

impl Deref for Drawn {
    type Target = Finished;
    fn deref(&self) -> &Finished {
        &self.0
    }
}

impl Drawn {
    pub(crate) fn new(finished: Finished) -> Self {
        Self(finished)
    }

    /// A picture.
    ///
    /// # Panics
    /// If there is none.
    pub fn image(&self, index: usize) -> &RgbImage {
        let count = self.pictures.len();
        let picture = self.pictures.get(index);
        &picture.unwrap_or_else(|| panic!("no picture {index}: there are {count}")).image
    }

    /// All pictures.
    pub fn images(&self) -> Vec<&RgbImage> {
        self.pictures.iter().map(|picture| &picture.image).collect()
    }

    /// The infotext of a picture.
    ///
    /// # Panics
    /// If there is no such picture.
    pub fn infotext(&self, index: usize) -> &str {
        let _ = self.image(index);
        &self.pictures[index].infotext
    }

    /// What a picture's infotext says under a key.
    pub fn parameter(&self, index: usize, key: &str) -> Option<String> {
        let parsed = ParsedInfotext::parse(self.infotext(index));
        parsed.params.text(key).map(str::to_owned)
    }

    /// The prompt of every picture as its infotext has it: what hooks made of it for the whole run, at
    /// `process`, is in it; what they changed for one iteration is not, as in A1111 v1.10.1.
    pub fn prompts(&self) -> Vec<String> {
        let of = |text: &str| ParsedInfotext::parse(text).prompt;
        self.pictures.iter().filter(|it| !it.grid).map(|it| of(&it.infotext)).collect()
    }

    /// The ledger's rows of a plugin (or of the host, `host`).
    pub fn ledger(&self, reader: &str) -> Vec<&LedgerRow> {
        self.record.ledger.iter().filter(|row| row.reader == reader).collect()
    }

    /// How many pixels are others than in another run. Missing pictures and other sizes count in full.
    pub fn differing_pixels(&self, other: &Self) -> u64 {
        let longest = self.pictures.len().max(other.pictures.len());
        let size = |image: Option<&&RgbImage>| {
            image.map_or(0, |image| u64::from(image.width()) * u64::from(image.height()))
        };
        let (ours, theirs) = (self.images(), other.images());
        let differing = |at: usize| match (ours.get(at), theirs.get(at)) {
            (Some(one), Some(two)) if one.dimensions() == two.dimensions() => {
                one.pixels().zip(two.pixels()).filter(|(a, b)| a != b).count() as u64
            }
            (one, two) => size(one).max(size(two)),
        };
        (0..longest).map(differing).sum()
    }

    /// # Panics
    /// If a pixel is another one than in the other run.
    #[track_caller]
    pub fn assert_same_pixels(&self, other: &Self) {
        let differing = self.differing_pixels(other);
        assert_eq!(differing, 0, "{differing} pixels differ");
    }

    /// # Panics
    /// If every pixel is the same as in the other run.
    #[track_caller]
    pub fn assert_other_pixels(&self, other: &Self) {
        assert_ne!(self.differing_pixels(other), 0, "not one pixel differs");
    }

    /// # Panics
    /// If the run did not come to its end.
    #[track_caller]
    pub fn assert_done(&self) {
        let state = self.record.state;
        assert_eq!(state, RunState::Done, "the run is {}: {:?}", state.word(), self.record.error);
    }

    /// # Panics
    /// If any hook failed.
    #[track_caller]
    pub fn assert_no_failures(&self) {
        let failures = &self.record.failures;
        assert!(failures.is_empty(), "hooks failed: {failures:#?}");
    }

    /// # Panics
    /// If the plugin's hook did not fail, or with other words.
    #[track_caller]
    pub fn assert_failed(&self, plugin: &str, hook: &str, words: &str) {
        let failures = &self.record.failures;
        let found = failures.iter().any(|failure| {
            failure.plugin == plugin && failure.hook == hook && failure.message.contains(words)
        });
        assert!(found, "{plugin} did not fail at {hook} with “{words}”: {failures:#?}");
    }

    /// # Panics
    /// If the plugin read an option live after the snapshot was taken: it is not migrated.
    #[track_caller]
    pub fn assert_reads_no_live_option(&self, plugin: &str) {
        let live = self.ledger(plugin).into_iter().find(|row| row.live > 0);
        if let Some(row) = live {
            panic!("{plugin} reads {} live at {}; read it from the snapshot", row.option, row.hook);
        }
    }

    /// # Panics
    /// If the plugin did not read the option from the snapshot.
    #[track_caller]
    pub fn assert_reads_snapshot(&self, plugin: &str, option: &str) {
        let read = self.ledger(plugin).iter().any(|row| row.option == option && row.snapshot > 0);
        assert!(read, "{plugin} does not read {option} from the snapshot");
    }

    /// # Panics
    /// If the plugin did not read the option live.
    #[track_caller]
    pub fn assert_reads_live(&self, plugin: &str, option: &str) {
        let read = self.ledger(plugin).iter().any(|row| row.option == option && row.live > 0);
        assert!(read, "{plugin} does not read {option} live");
    }
}
