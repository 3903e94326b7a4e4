//! What mutation begins with: every byte string and text of the published vectors, good and bad.

use std::path::Path;

use serde_json::Value;

pub fn write(folder: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(folder)?;
    let vectors = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crypto/vectors");
    let mut count = 0;
    for file in std::fs::read_dir(vectors)? {
        let value: Value = serde_json::from_slice(&std::fs::read(file?.path())?)?;
        strings(&value, &mut |text| {
            let bytes = hex(text).unwrap_or_else(|| text.as_bytes().to_vec());
            count += 1;
            std::fs::write(folder.join(format!("{count:05}")), bytes)
        })?;
    }
    Ok(())
}

fn strings(value: &Value, act: &mut impl FnMut(&str) -> std::io::Result<()>) -> std::io::Result<()> {
    match value {
        Value::String(text) => act(text),
        Value::Array(values) => values.iter().try_for_each(|v| strings(v, act)),
        Value::Object(fields) => fields.values().try_for_each(|v| strings(v, act)),
        _ => Ok(()),
    }
}

fn hex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes();
    if digits.is_empty() || digits.len() % 2 == 1 {
        return None;
    }
    digits.chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect()
}
