//! `portcullis crd`: prints the CustomResourceDefinition.

use crate::api;

/// The definition as YAML, the same on every call. crds/protectedendpoints.yaml is this text, checked in.
///
/// # Errors
/// The definition cannot be written as YAML; no input leads there.
pub fn render() -> Result<String, serde_yaml::ser::Error> {
    serde_yaml::to_string(&api::custom_resource_definition())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checked_in_definition_is_the_generated_one() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/crds/protectedendpoints.yaml");
        let checked_in = std::fs::read_to_string(path).unwrap();
        let generated = render().unwrap();
        let differs = checked_in.lines().zip(generated.lines()).position(|(old, new)| old != new);
        assert!(checked_in == generated, "{path} differs from line {differs:?} (0-based): write it with `portcullis crd >{path}`");
    }
}
