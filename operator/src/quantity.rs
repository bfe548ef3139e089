//! Kubernetes quantities of memory, such as `2Gi` or `500M`.

use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

/// The bytes that a quantity of memory means; none when it is no such quantity, or beyond 64 bits.
pub fn bytes(quantity: &Quantity) -> Option<u64> {
    let text = quantity.0.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let factor: f64 = match unit {
        "" => 1.0,
        "k" => 1e3,
        "M" => 1e6,
        "G" => 1e9,
        "T" => 1e12,
        "P" => 1e15,
        "E" => 1e18,
        "Ki" => 1024.0,
        "Mi" => 1024f64.powi(2),
        "Gi" => 1024f64.powi(3),
        "Ti" => 1024f64.powi(4),
        "Pi" => 1024f64.powi(5),
        "Ei" => 1024f64.powi(6),
        "m" => 1e-3,
        exponent => format!("1{exponent}").parse().ok()?,
    };
    let value = number.parse::<f64>().ok()? * factor;
    (value >= 1.0 && value < u64::MAX as f64).then_some(value as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_kubernetes_writes() {
        let cases = [
            ("2Gi", Some(2 << 30)),
            ("512Mi", Some(512 << 20)),
            ("1.5Gi", Some(3 << 29)),
            ("128974848", Some(128_974_848)),
            ("129e6", Some(129_000_000)),
            ("129M", Some(129_000_000)),
            ("128974848000m", Some(128_974_848)),
            ("", None),
            ("Gi", None),
            ("1Zi", None),
            ("99999999999999E", None),
        ];
        for (text, expected) in cases {
            assert_eq!(bytes(&Quantity(text.into())), expected, "{text}");
        }
    }
}
