use crate::study::Findings;
pub(super) fn page(_: &Findings) -> String {
    String::new()
}
