//! Pictures that a project may show as its logo: what they are is read from their bytes, never from what is said of them.

use crate::error::{Error, Result};

/// With it a page stays below 50 kB.
pub const MOST_BYTES: usize = 24 * 1024;
/// Pixels in each direction.
const MOST_PIXELS: u32 = 2048;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogoKind {
    Png,
    Jpeg,
    Webp,
}

impl LogoKind {
    pub const ALL: [Self; 3] = [Self::Png, Self::Jpeg, Self::Webp];

    pub const fn extension(self) -> &'static str {
        match self {
            Self::Png => "png",
            Self::Jpeg => "jpg",
            Self::Webp => "webp",
        }
    }

    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Png => "image/png",
            Self::Jpeg => "image/jpeg",
            Self::Webp => "image/webp",
        }
    }

    /// The kind of a picture, whole and of a size that pages can show.
    ///
    /// # Errors
    /// `invalid_request` for anything else.
    pub fn of(picture: &[u8]) -> Result<Self> {
        if picture.len() > MOST_BYTES {
            return Err(wrong("the logo has at most 24 KiB"));
        }
        let found = [(Self::Png, png(picture)), (Self::Jpeg, jpeg(picture)), (Self::Webp, webp(picture))];
        let found = found.into_iter().find_map(|(kind, size)| Some((kind, size?)));
        let (kind, (width, height)) =
            found.ok_or_else(|| wrong("the logo is a PNG, JPEG or WebP picture"))?;
        let is_fine = |pixels: u32| (1..=MOST_PIXELS).contains(&pixels);
        if !is_fine(width) || !is_fine(height) {
            return Err(wrong("the logo has 1 to 2048 pixels in each direction"));
        }
        Ok(kind)
    }
}

fn wrong(bound: &'static str) -> Error {
    Error::invalid_field("logo", bound)
}

/// Width and height.
type Size = (u32, u32);

/// ISO/IEC 15948, 5.2 and 11.2.2: the signature, the header first, the end at the end.
fn png(picture: &[u8]) -> Option<Size> {
    let header = picture.strip_prefix(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR")?;
    if !picture.ends_with(b"\0\0\0\0IEND\xaeB`\x82") {
        return None;
    }
    Some((big_endian(header, 0, 4)?, big_endian(header, 4, 4)?))
}

/// ITU T.81, B.1.1: segments up to the frame's header, which has the size.
fn jpeg(picture: &[u8]) -> Option<Size> {
    let mut rest = picture.strip_prefix(b"\xff\xd8")?;
    if !picture.ends_with(b"\xff\xd9") {
        return None;
    }
    loop {
        let marker = *rest.strip_prefix(b"\xff")?.first()?;
        let length = usize::try_from(big_endian(rest, 2, 2)?).ok()?;
        if matches!(marker, 0xc0..=0xcf) && !matches!(marker, 0xc4 | 0xc8 | 0xcc) {
            return Some((big_endian(rest, 7, 2)?, big_endian(rest, 5, 2)?));
        }
        // The scan begins, and no frame came before it.
        if marker == 0xda || length < 2 {
            return None;
        }
        rest = rest.get(2 + length..)?;
    }
}

/// RFC 9649, 2.4 to 2.7: a RIFF container that ends where it says, with one of three first chunks.
fn webp(picture: &[u8]) -> Option<Size> {
    let rest = picture.strip_prefix(b"RIFF")?;
    if usize::try_from(little_endian(rest, 0, 4)?).ok()? + 8 != picture.len() {
        return None;
    }
    let chunk = rest.get(4..)?.strip_prefix(b"WEBP")?;
    let (name, body) = (chunk.get(..4)?, chunk.get(8..)?);
    match name {
        b"VP8X" => Some((little_endian(body, 4, 3)? + 1, little_endian(body, 7, 3)? + 1)),
        b"VP8L" if body.first() == Some(&0x2f) => {
            let bits = little_endian(body, 1, 4)?;
            Some(((bits & 0x3fff) + 1, ((bits >> 14) & 0x3fff) + 1))
        }
        b"VP8 " if body.get(3..6) == Some(b"\x9d\x01\x2a") => {
            Some((little_endian(body, 6, 2)? & 0x3fff, little_endian(body, 8, 2)? & 0x3fff))
        }
        _ => None,
    }
}

fn big_endian(bytes: &[u8], at: usize, length: usize) -> Option<u32> {
    Some(bytes.get(at..at + length)?.iter().fold(0, |number, byte| number << 8 | u32::from(*byte)))
}

fn little_endian(bytes: &[u8], at: usize, length: usize) -> Option<u32> {
    Some(bytes.get(at..at + length)?.iter().rev().fold(0, |number, byte| number << 8 | u32::from(*byte)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn png_of(width: u32, height: u32) -> Vec<u8> {
        let size = [width.to_be_bytes(), height.to_be_bytes()].concat();
        [b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", &size[..], b"\x08\x06\0\0\0....", b"\0\0\0\0IEND\xaeB`\x82"]
            .concat()
    }

    #[test]
    fn pictures_are_known_by_their_bytes() {
        assert_eq!(LogoKind::of(&png_of(1, 2048)).unwrap(), LogoKind::Png);
        let jpeg = b"\xff\xd8\xff\xe0\0\x04ab\xff\xc2\0\x0b\x08\0\x10\0\x20\x01\0\0\0\xff\xd9";
        assert_eq!((LogoKind::of(jpeg).unwrap(), super::jpeg(jpeg)), (LogoKind::Jpeg, Some((32, 16))));
        let lossless = b"RIFF\x12\0\0\0WEBPVP8L\x05\0\0\0\x2f\x1f\xc0\x03\0\0";
        assert_eq!((LogoKind::of(lossless).unwrap(), webp(lossless)), (LogoKind::Webp, Some((32, 16))));
        let extended = b"RIFF\x16\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0\x1f\0\0\x0f\0\0";
        assert_eq!(webp(extended), Some((32, 16)));
        let lossy = b"RIFF\x16\0\0\0WEBPVP8 \x0a\0\0\0\x30\x01\0\x9d\x01\x2a\x20\0\x10\0";
        assert_eq!(webp(lossy), Some((32, 16)));
    }

    #[test]
    fn anything_else_is_refused() {
        let svg = b"<svg xmlns=\"http://www.w3.org/2000/svg\" onload=\"alert(1)\"/>".to_vec();
        let tail = [png_of(9, 9), b"<script>".to_vec()].concat();
        let large = [&png_of(9, 9)[..29], &[0; MOST_BYTES], &png_of(9, 9)[29..]].concat();
        for picture in [
            Vec::new(),
            svg,
            tail,
            large,
            b"GIF89a\x01\0\x01\0".to_vec(),
            b"\x89PNG\r\n\x1a\n".to_vec(),
            png_of(0, 1),
            png_of(2049, 1),
            png_of(u32::MAX, u32::MAX),
            b"\xff\xd8\xff\xd9".to_vec(),
            b"\xff\xd8\xff\xe0\0\0\xff\xd9".to_vec(),
            b"\xff\xd8\xff\xda\0\x04ab\xff\xd9".to_vec(),
            b"RIFF\x04\0\0\0WEBP".to_vec(),
            b"RIFF\xff\xff\xff\xffWEBPVP8L\x05\0\0\0\x2f\x1f\xc0\x03\0\0".to_vec(),
        ] {
            assert_eq!(LogoKind::of(&picture).unwrap_err().field(), Some("logo"), "{picture:?}");
        }
    }
}
