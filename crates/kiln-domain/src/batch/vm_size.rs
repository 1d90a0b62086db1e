//! Azure's names of machine sizes, as far as they tell how many cores there are.

/// Cores of a machine of this size; `None` for a name that tells nothing.
///
/// The number in a name is that of its cores, but for the oldest families, which are counted
/// through, and for sizes with fewer cores than their machine has: `E64-16s_v3` has 16.
pub fn cores(name: &str) -> Option<u32> {
    let name = name.to_ascii_lowercase();
    let plain = name.strip_prefix("standard_").or_else(|| name.strip_prefix("basic_"));
    let name = plain.unwrap_or(&name);
    if let Some(cores) = of_cloud_service(name) {
        return Some(cores);
    }
    let (family, rest) = name.split_at(name.find(|c: char| c.is_ascii_digit())?);
    let (number, rest) = leading_number(rest)?;
    let version = rest.rsplit_once("_v").and_then(|(_, it)| it.parse().ok()).unwrap_or(1);
    match (family, version) {
        ("a", 1) => of_first_a(number),
        ("d" | "ds", 1 | 2) => of_first_d(number),
        ("g" | "gs", 1) => number.checked_sub(1).and_then(|it| 2_u32.checked_shl(it)),
        _ => {
            let constrained = rest.strip_prefix('-').and_then(leading_number);
            Some(constrained.map_or(number, |(cores, _)| cores))
        }
    }
    .filter(|cores| *cores > 0)
}

fn of_cloud_service(name: &str) -> Option<u32> {
    match name {
        "extrasmall" | "small" => Some(1),
        "medium" => Some(2),
        "large" => Some(4),
        "extralarge" => Some(8),
        _ => None,
    }
}

fn of_first_a(number: u32) -> Option<u32> {
    match number {
        0 | 1 => Some(1),
        2 | 5 => Some(2),
        3 | 6 => Some(4),
        4 | 7 | 8 | 10 => Some(8),
        9 | 11 => Some(16),
        _ => None,
    }
}

fn of_first_d(number: u32) -> Option<u32> {
    match number {
        1 => Some(1),
        2 | 11 => Some(2),
        3 | 12 => Some(4),
        4 | 13 => Some(8),
        5 | 14 => Some(16),
        15 => Some(20),
        _ => None,
    }
}

fn leading_number(text: &str) -> Option<(u32, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, rest) = text.split_at_checked(end)?;
    Some((number.parse().ok()?, rest))
}

#[cfg(test)]
mod tests {
    use super::cores;

    #[test]
    fn names_of_sizes_tell_their_cores() {
        for (name, expected) in [
            ("standard_d1_v2", Some(1)),
            ("STANDARD_D2_V3", Some(2)),
            ("Standard_D3_v2", Some(4)),
            ("Standard_DS14_v2_Promo", Some(16)),
            ("Standard_D4s_v3", Some(4)),
            ("standard_a1", Some(1)),
            ("Standard_A4", Some(8)),
            ("Standard_A4m_v2", Some(4)),
            ("basic_a2", Some(2)),
            ("small", Some(1)),
            ("ExtraLarge", Some(8)),
            ("Standard_G5", Some(32)),
            ("Standard_NC24rs_v3", Some(24)),
            ("Standard_HB120-16rs_v3", Some(16)),
            ("Standard_E64-16s_v3", Some(16)),
            ("Standard_M128ms", Some(128)),
            ("Standard_B1ms", Some(1)),
            ("Standard_G99", None),
            ("Standard_A12", None),
            ("any", None),
            ("", None),
        ] {
            assert_eq!(cores(name), expected, "{name}");
        }
    }
}
