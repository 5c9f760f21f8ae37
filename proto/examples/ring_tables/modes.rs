pub fn section() -> String {
    String::new()
}
