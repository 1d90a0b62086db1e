//! How many cores a machine of an Azure size has, as far as its name tells.

/// Sizes whose names say nothing of their cores, or something else: those of the first years.
const OLD_SIZES: [(&str, u32); 29] = [
    ("extrasmall", 1),
    ("small", 1),
    ("medium", 2),
    ("large", 4),
    ("extralarge", 8),
    ("a0", 1),
    ("a1", 1),
    ("a2", 2),
    ("a3", 4),
    ("a4", 8),
    ("a5", 2),
    ("a6", 4),
    ("a7", 8),
    ("a8", 8),
    ("a9", 16),
    ("a10", 8),
    ("a11", 16),
    ("d1", 1),
    ("d2", 2),
    ("d3", 4),
    ("d4", 8),
    ("d5", 16),
    ("d11", 2),
    ("d12", 4),
    ("d13", 8),
    ("d14", 16),
    ("d15", 20),
    ("g1", 2),
    ("g5", 32),
];

/// The cores of a machine of this size; `None` when its name does not tell.
///
/// Newer names carry the number: `standard_d4s_v5` has four.
pub fn cores(vm_size: &str) -> Option<u32> {
    let name = vm_size.to_ascii_lowercase();
    let name = ["standard_", "basic_"].iter().find_map(|it| name.strip_prefix(it)).unwrap_or(&name);
    let (family, rest) = name.split_once('_').unwrap_or((name, ""));
    let version = rest.rsplit('_').next().unwrap_or_default();
    // The letter S of the first years tells of disks: `ds2_v2` is `d2_v2`.
    let plain = family.replacen("ds", "d", 1);
    let is_old = rest.is_empty() || (version == "v2" && plain.starts_with('d'));
    if is_old && let Some((_, cores)) = OLD_SIZES.iter().find(|(old, _)| *old == plain) {
        return Some(*cores);
    }
    let digits: String = family
        .chars()
        .skip_while(|it| !it.is_ascii_digit())
        .take_while(char::is_ascii_digit)
        .collect();
    digits.parse().ok().filter(|cores| *cores > 0)
}

#[cfg(test)]
mod tests {
    use super::cores;

    #[test]
    fn names_tell_of_cores() {
        for (vm_size, expected) in [
            ("STANDARD_A1", Some(1)),
            ("BASIC_A1", Some(1)),
            ("standard_a1_v2", Some(1)),
            ("Standard_A8_v2", Some(8)),
            ("Standard_A8m_v2", Some(8)),
            ("standard_d1_v2", Some(1)),
            ("standard_ds2_v2", Some(2)),
            ("Standard_D3_v2", Some(4)),
            ("Standard_D14_v2", Some(16)),
            ("Standard_D4", Some(8)),
            ("Standard_D4_v3", Some(4)),
            ("Standard_D4s_v5", Some(4)),
            ("Standard_D16ads_v5", Some(16)),
            ("Standard_F4", Some(4)),
            ("Standard_HB120rs_v3", Some(120)),
            ("Standard_NC6", Some(6)),
            ("Standard_E64-16s_v3", Some(64)),
            ("small", Some(1)),
            ("ExtraLarge", Some(8)),
            ("standard_g5", Some(32)),
            ("my-machine", None),
            ("", None),
        ] {
            assert_eq!(cores(vm_size), expected, "{vm_size}");
        }
    }
}
