//! A code that a camera reads (ISO/IEC 18004), drawn as one path: pages that carry it stay light.

use qrcode::{Color, EcLevel, QrCode};

use crate::error::{Error, Result};

/// ISO/IEC 18004, 6.3.8: modules of light on each side.
const QUIET: usize = 4;

/// SVG without a style, and without a size: the page gives it both. The lowest level of correction, for a screen has no stains.
///
/// # Errors
/// A text that is too long for any code.
pub fn draw(text: &str) -> Result<String> {
    let code = QrCode::with_error_correction_level(text, EcLevel::L).map_err(Error::internal)?;
    let (width, path) = (code.width(), path(&code.to_colors(), code.width()));
    let side = width + 2 * QUIET;
    Ok(format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {side} {side}\" shape-rendering=\"crispEdges\">\
         <path fill=\"#fff\" d=\"M0 0h{side}v{side}H0z\"/><path stroke=\"#000\" d=\"{path}\"/></svg>"
    ))
}

/// Each row is a line through the middle of its modules: drawn over the dark ones, moved over the light ones.
fn path(modules: &[Color], width: usize) -> String {
    let mut path = String::new();
    for (y, row) in modules.chunks(width).enumerate() {
        let mut light = QUIET;
        for (index, run) in row.chunk_by(|one, other| one == other).enumerate() {
            match (run.first(), index) {
                (Some(Color::Dark), 0 | 1) => {
                    path.push_str(&format!("M{light} {}.5h{}", y + QUIET, run.len()));
                }
                (Some(Color::Dark), _) => path.push_str(&format!("m{light} 0h{}", run.len())),
                _ => {}
            }
            light = if index == 0 { QUIET + run.len() } else { run.len() };
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the path draws, module by module.
    fn drawn(path: &str, width: usize) -> Vec<Color> {
        let mut modules = vec![Color::Light; width * width];
        let (mut x, mut y) = (0, 0);
        let spaced = path.replace('h', " h").replace('m', " m").replace('M', " M");
        let mut words = spaced.split_whitespace();
        while let Some(word) = words.next() {
            let (command, number) = word.split_at(1);
            let number: usize = number.parse().unwrap();
            match command {
                "M" => {
                    let middle = words.next().unwrap().strip_suffix(".5").unwrap();
                    (x, y) = (number, middle.parse::<usize>().unwrap());
                }
                "m" => {
                    assert_eq!(words.next(), Some("0"));
                    x += number;
                }
                "h" => {
                    for x in x..x + number {
                        modules[(y - QUIET) * width + x - QUIET] = Color::Dark;
                    }
                    x += number;
                }
                other => panic!("{other}"),
            }
        }
        modules
    }

    #[test]
    fn the_path_is_the_code() {
        for text in
            ["1", "otpauth://totp/shop:alice?secret=GEZDGNBVGY3TQOJQ&issuer=shop", &"%E5%BA%97".repeat(60)]
        {
            let code = QrCode::with_error_correction_level(text, EcLevel::L).unwrap();
            let path = path(&code.to_colors(), code.width());
            assert_eq!(drawn(&path, code.width()), code.to_colors(), "{text}");
            assert!(draw(text).unwrap().contains(&path));
        }
        assert!(draw(&"x".repeat(3000)).is_err());
    }
}
