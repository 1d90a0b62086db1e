//! The functions that a formula may call.

use super::evaluate::Scene;
use super::value::{Value, whole};
use crate::time::Timestamp;

/// What the functions of a formula may draw on.
#[derive(Debug)]
pub(super) struct Surroundings<'a> {
    pub(super) scene: &'a Scene<'a>,
    pub(super) random: Random,
}

/// Computes a function; `None` when there is none of that name.
pub(super) fn call(
    name: &str,
    arguments: &[Value],
    surroundings: &mut Surroundings<'_>,
) -> Option<Result<Value, String>> {
    let of_list = |f: fn(&[f64]) -> f64| flat(arguments).map(|list| Value::Number(f(&list)));
    Some(match name {
        "avg" => of_list(mean),
        "sum" => of_list(|list| list.iter().sum()),
        "min" => of_list(min),
        "max" => of_list(max),
        "len" => of_list(|list| list.len() as f64),
        "range" => of_list(|list| max(list) - min(list)),
        "std" => of_list(standard_deviation),
        "norm" => of_list(|list| list.iter().map(|it| it * it).sum::<f64>().sqrt()),
        "lg" => for_each(arguments, f64::log2),
        "ln" => for_each(arguments, f64::ln),
        "log" => for_each(arguments, f64::log10),
        "ceil" => for_each(arguments, f64::ceil),
        "floor" => for_each(arguments, f64::floor),
        "round" => for_each(arguments, f64::round),
        "percentile" => percentile(arguments),
        "val" => element(arguments),
        "rand" => no_arguments(arguments).map(|()| Value::Number(surroundings.random.next())),
        "time" => time(arguments, surroundings.scene.now),
        _ => return None,
    })
}

/// Numbers between 0 and 1 that begin with a seed: the same seed, the same numbers.
#[derive(Debug)]
pub(super) struct Random(pub(super) u64);

impl Random {
    /// The method is `SplitMix64`.
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        bits ^= bits >> 31;
        // The 53 bits that a double keeps.
        (bits >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// The numbers of a list: single ones, and those of vectors.
pub(super) fn flat(arguments: &[Value]) -> Result<Vec<f64>, String> {
    let mut list = Vec::new();
    for argument in arguments {
        match argument {
            Value::Number(number) => list.push(*number),
            Value::Vector(elements) => list.extend_from_slice(elements),
            Value::Text(_) | Value::Time(_) | Value::Interval(_) | Value::Option(_) => {
                return Err(format!("An argument is {}, not a number", argument.kind()));
            }
        }
    }
    Ok(list)
}

fn for_each(arguments: &[Value], f: fn(f64) -> f64) -> Result<Value, String> {
    if let [Value::Number(number)] = arguments {
        return Ok(Value::Number(f(*number)));
    }
    if arguments.is_empty() {
        return Err("An argument is missing".to_owned());
    }
    Ok(Value::Vector(flat(arguments)?.into_iter().map(f).collect()))
}

/// Of nothing, each of these is 0.
fn mean(list: &[f64]) -> f64 {
    if list.is_empty() { 0.0 } else { list.iter().sum::<f64>() / list.len() as f64 }
}

fn min(list: &[f64]) -> f64 {
    list.iter().copied().reduce(f64::min).unwrap_or(0.0)
}

fn max(list: &[f64]) -> f64 {
    list.iter().copied().reduce(f64::max).unwrap_or(0.0)
}

fn standard_deviation(list: &[f64]) -> f64 {
    if list.len() < 2 {
        return 0.0;
    }
    let mean = mean(list);
    let squares: f64 = list.iter().map(|it| (it - mean) * (it - mean)).sum();
    (squares / (list.len() - 1) as f64).sqrt()
}

/// The smallest element that at least `percent` of all do not exceed.
fn percentile(arguments: &[Value]) -> Result<Value, String> {
    let [vector, percent] = arguments else {
        return Err("A vector and a percentage are needed".to_owned());
    };
    let mut list = flat(std::slice::from_ref(vector))?;
    let percent = percent.number().filter(|it| (0.0..=100.0).contains(it));
    let percent = percent.ok_or("The percentage must be a number from 0 to 100")?;
    list.sort_by(f64::total_cmp);
    let rank = whole((percent / 100.0 * list.len() as f64).ceil());
    let idx = usize::try_from(rank.saturating_sub(1)).unwrap_or(0);
    Ok(Value::Number(list.get(idx).copied().unwrap_or(0.0)))
}

fn element(arguments: &[Value]) -> Result<Value, String> {
    let [vector, idx] = arguments else {
        return Err("A vector and an index are needed".to_owned());
    };
    let list = flat(std::slice::from_ref(vector))?;
    let idx = idx.number().ok_or_else(|| format!("The index is {}", idx.kind()))?;
    let found = usize::try_from(whole(idx)).ok().and_then(|it| list.get(it));
    let found = found.filter(|_| !idx.is_nan());
    let missing = || format!("The vector has {} elements, none at {}", list.len(), whole(idx));
    Ok(Value::Number(*found.ok_or_else(missing)?))
}

fn no_arguments(arguments: &[Value]) -> Result<(), String> {
    if arguments.is_empty() { Ok(()) } else { Err("No arguments are taken".to_owned()) }
}

fn time(arguments: &[Value], now: Timestamp) -> Result<Value, String> {
    let text = match arguments {
        [] => return Ok(Value::Time(now)),
        [Value::Text(text)] => text,
        _ => return Err("At most one string is taken".to_owned()),
    };
    if text.trim().is_empty() {
        return Ok(Value::Time(now));
    }
    // A date may end with its year or month.
    let parsed = ["", "-01", "-01-01"]
        .into_iter()
        .find_map(|rest| Timestamp::parse_iso(&format!("{text}{rest}")))
        .or_else(|| Timestamp::parse_rfc1123(text));
    Ok(Value::Time(parsed.ok_or_else(|| format!("Invalid timestamp: {text}"))?))
}
