//! Layers with something added to their weights, and layers that are shared with a network without.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use candle_core::{Result, Tensor};

/// What is added to a layer's weights.
pub(crate) trait Delta: Send + Sync {
    /// The addition, of the shape that the layer's weights have.
    fn tensor(&self, shape: &[usize]) -> Result<Tensor>;
}

/// Additions by the layers' names, as diffusers and transformers have them.
pub(crate) type Patches = HashMap<String, Vec<Arc<dyn Delta>>>;

/// The linear and convolutional layers of a network, as they are kept in memory. Cloning shares.
#[derive(Clone, Default)]
pub(crate) struct Layers(Arc<Mutex<HashMap<String, Layer>>>);

/// Weights and bias, as a layer keeps them.
pub(crate) type Kept = (Tensor, Option<Tensor>);

/// Outputs and the rest of a layer's weights, and what is kept of it.
type Layer = ((usize, usize), Kept);

impl Layers {
    pub(super) fn get(&self, name: &str) -> Option<Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(name).map(|(_, it)| it.clone())
    }

    pub(super) fn keep(&self, name: &str, shape: (usize, usize), kept: &Kept) {
        let mut layers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        layers.insert(name.to_owned(), (shape, kept.clone()));
    }

    /// The layers' names, with outputs and the rest of their weights' shapes.
    pub(crate) fn all(&self) -> Vec<(String, (usize, usize))> {
        let layers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        layers.iter().map(|(name, (shape, _))| (name.clone(), *shape)).collect()
    }
}
