//! The plan as YAML: what `plan.yaml` holds and `peerbed plan` prints.

use anyhow::Context;

use super::Plan;

impl Plan {
    /// The plan as YAML; the same plan gives the same bytes.
    ///
    /// # Errors
    ///
    /// Not for a plan that [`super::resolve()`] made; the serializer's own error otherwise.
    pub fn to_yaml(&self) -> anyhow::Result<String> {
        serde_saphyr::to_string(self).context("cannot write the plan as YAML")
    }

    /// Reads what [`Plan::to_yaml`] wrote.
    ///
    /// # Errors
    ///
    /// The first thing that is not a plan, with its place.
    pub fn from_yaml(text: &str) -> anyhow::Result<Self> {
        // The file is our own, and as long as it has peers.
        let mut options = serde_saphyr::Options::default();
        options.budget = None;
        serde_saphyr::from_str_with_options(text, options).context("this is not a plan")
    }
}
