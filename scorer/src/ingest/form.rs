//! What the first bytes of data, or the ending of its name, say of its form. Data that is packed or of another charset is
//! refused by name: read as raw encodings, it would count as records that match nobody.

use std::fmt;

use super::IngestError;

/// How many first bytes are looked at.
const HEAD_BYTES: usize = 64;

/// A form in which data is not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Packed by gzip.
    Gzip,
    /// A ZIP archive.
    Zip,
    /// Packed by zstd.
    Zstd,
    /// Packed by xz.
    Xz,
    /// Packed by bzip2.
    Bzip2,
    /// A 7z archive.
    SevenZip,
    /// Text in UTF-16.
    Utf16,
    /// Text in UTF-32.
    Utf32,
    /// JSON, where raw encodings are expected.
    Json,
}

impl Form {
    /// The form of data that should be a JSON document, by its first bytes; none if it may be one.
    pub fn of_document(head: &[u8]) -> Option<Self> {
        Self::packed(head).or(match head {
            [0xff, 0xfe, 0, 0, ..] | [0, 0, 0xfe, 0xff, ..] => Some(Self::Utf32),
            // what no JSON begins with: a byte order mark, or the zeros beside the letters that it does begin with
            [0xff, 0xfe, ..] | [0xfe, 0xff, ..] | [b'{' | b'[', 0, ..] | [0, b'{' | b'[', ..] => {
                Some(Self::Utf16)
            }
            _ => None,
        })
    }

    /// The form of data that should be raw encodings, by its first bytes; none if it may be such. As those may begin with
    /// any bytes, so many are looked at that encodings begin with them less than once in some billion uploads.
    pub fn of_raw(head: &[u8]) -> Option<Self> {
        Self::packed(head).or_else(|| {
            let is_utf_16 = match head {
                [0xff, 0xfe, rest @ ..] => is_json(&every_second(rest, 0)) && rest.get(1) == Some(&0),
                [0xfe, 0xff, rest @ ..] => is_json(&every_second(rest, 1)) && rest.first() == Some(&0),
                _ => false,
            };
            if is_utf_16 {
                return Some(Self::Utf16);
            }
            is_json(head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head)).then_some(Self::Json)
        })
    }

    fn packed(head: &[u8]) -> Option<Self> {
        match head {
            // flags that are not in use are 0; the last two tell how hard it was packed, and on which system
            [0x1f, 0x8b, 8, flags, _, _, _, _, 0 | 2 | 4, 0..=13 | 255, ..] if flags & 0xe0 == 0 => {
                Some(Self::Gzip)
            }
            // the version that unpacking needs is 6.3 at most; or the archive is empty, or in parts
            [b'P', b'K', 3, 4, 10..=63, 0, ..]
            | [b'P', b'K', 5, 6, 0, 0, 0, 0, ..]
            | [b'P', b'K', 7, 8, b'P', b'K', ..] => Some(Self::Zip),
            [0x28, 0xb5, 0x2f, 0xfd, descriptor, ..] if descriptor & 0x08 == 0 => Some(Self::Zstd),
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Some(Self::Xz),
            [b'B', b'Z', b'h', b'1'..=b'9', 0x31, 0x41, 0x59, 0x26, 0x53, 0x59, ..] => Some(Self::Bzip2),
            [b'7', b'z', 0xbc, 0xaf, 0x27, 0x1c, ..] => Some(Self::SevenZip),
            _ => None,
        }
    }

    /// What a name that ends so says of what it names.
    fn of_ending(ending: &str) -> Option<Self> {
        Some(match ending {
            "gz" | "gzip" | "tgz" => Self::Gzip,
            "zip" => Self::Zip,
            "zst" | "zstd" => Self::Zstd,
            "xz" => Self::Xz,
            "bz2" => Self::Bzip2,
            "7z" => Self::SevenZip,
            _ => return None,
        })
    }
}

impl fmt::Display for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let packed = match self {
            Self::Gzip => "gzip",
            Self::Zip => "zip",
            Self::Zstd => "zstd",
            Self::Xz => "xz",
            Self::Bzip2 => "bzip2",
            Self::SevenZip => "7z",
            Self::Utf16 => return f.write_str("the data is text in UTF-16; write it in UTF-8"),
            Self::Utf32 => return f.write_str("the data is text in UTF-32; write it in UTF-8"),
            Self::Json => {
                return f.write_str(
                    "the data is a JSON document, but raw encodings are expected; send it as JSON, or give it a name that \
                     ends in .json",
                );
            }
        };
        write!(f, "the data is packed ({packed}); unpack it first")
    }
}

/// Whether a name says that it names a JSON document, and not raw encodings.
///
/// # Errors
/// [`IngestError::Form`] when it says that it names something packed.
pub fn is_json_name(name: &str) -> Result<bool, IngestError> {
    let ending = name.rsplit_once('.').map(|(_, ending)| ending.to_ascii_lowercase()).unwrap_or_default();
    Form::of_ending(&ending).map_or(Ok(ending == "json"), |form| Err(IngestError::Form(form)))
}

/// The first bytes of raw encodings that arrive piece by piece.
#[derive(Debug, Default)]
pub(super) struct Head(Vec<u8>);

impl Head {
    /// Looks at the next piece.
    pub fn look(&mut self, piece: &[u8]) -> Result<(), IngestError> {
        let missing = HEAD_BYTES - self.0.len();
        if missing == 0 {
            return Ok(());
        }
        self.0.extend_from_slice(&piece[..missing.min(piece.len())]);
        if self.0.len() == HEAD_BYTES { self.judge() } else { Ok(()) }
    }

    /// Judges what has arrived: at the end, if that is little.
    pub fn judge(&self) -> Result<(), IngestError> {
        Form::of_raw(&self.0).map_or(Ok(()), |form| Err(IngestError::Form(form)))
    }
}

/// Whether a document of one of the documented shapes begins here.
fn is_json(text: &[u8]) -> bool {
    let key = text.trim_ascii_start().strip_prefix(b"{").map(<[u8]>::trim_ascii_start);
    key.is_some_and(|key| {
        ["\"clks\"", "\"clknblocks\"", "\"encodings\"", "\"blocks\"", "\"meta\""]
            .iter()
            .any(|known| key.starts_with(known.as_bytes()))
    })
}

fn every_second(bytes: &[u8], from: usize) -> Vec<u8> {
    bytes.iter().skip(from).step_by(2).copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn utf_16(text: &str, little: bool, mark: bool) -> Vec<u8> {
        let units = mark.then_some(0xfeff).into_iter().chain(text.encode_utf16());
        units.flat_map(|unit: u16| if little { unit.to_le_bytes() } else { unit.to_be_bytes() }).collect()
    }

    #[test]
    fn packed_data_is_known_by_what_programs_write_first() {
        for (head, form) in [
            (&b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\xab\x56"[..], Form::Gzip),
            (b"\x1f\x8b\x08\x08\x11\x22\x33\x44\x02\xffa.json\0", Form::Gzip),
            (b"PK\x03\x04\x14\x00\x00\x00\x08\x00", Form::Zip),
            (b"PK\x03\x04\x2d\x00\x08\x00\x08\x00", Form::Zip),
            (b"\x28\xb5\x2f\xfd\x04\x58\xa1\x00", Form::Zstd),
            (b"\xfd7zXZ\x00\x00\x04\xe6\xd6", Form::Xz),
            (b"BZh91AY&SY\x00\x11", Form::Bzip2),
            (b"7z\xbc\xaf\x27\x1c\x00\x04", Form::SevenZip),
        ] {
            assert_eq!((Form::of_raw(head), Form::of_document(head)), (Some(form), Some(form)), "{head:?}");
        }
    }

    #[test]
    fn encodings_that_resemble_packed_data_are_encodings() {
        for head in [
            &b"\x1f\x8b\x08\xff\x00\x00\x00\x00\x00\x03"[..],
            b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x07\x03",
            b"PK\x03\x04\xff\xff",
            b"\x28\xb5\x2f\xfd\x08\x58",
            b"BZh91AY&SX",
            b"{}",
            b"{\"\x00\x01\x02\x03",
            b"\xef\xbb\xbf\x00",
            b"\xff\xfe{\x00x\x01",
            b"",
            b"\x00",
        ] {
            assert_eq!(Form::of_raw(head), None, "{head:?}");
        }
    }

    #[test]
    fn charsets_are_known_with_and_without_a_mark() {
        let document = "{\"clks\": [\"AAAA\"]}";
        for little in [true, false] {
            for mark in [true, false] {
                let bytes = utf_16(document, little, mark);
                assert_eq!(Form::of_document(&bytes), Some(Form::Utf16), "{little} {mark}");
                assert_eq!(Form::of_raw(&bytes), mark.then_some(Form::Utf16), "{little} {mark}");
            }
        }
        assert_eq!(Form::of_document(b"\xff\xfe\x00\x00{\x00\x00\x00"), Some(Form::Utf32));
        for read in [document.as_bytes(), b"\xef\xbb\xbf{\"clks\": []}", b" {", b"", b"\xff"] {
            assert_eq!(Form::of_document(read), None);
        }
    }

    #[test]
    fn a_document_is_not_taken_for_encodings() {
        for text in ["{\"clks\": [", "\n{ \"encodings\":", "\u{feff}{\"clknblocks\": [", "{\"blocks\": {"] {
            assert_eq!(Form::of_raw(text.as_bytes()), Some(Form::Json), "{text}");
        }
    }

    #[test]
    fn the_ending_of_a_name_counts_in_capitals_as_well() {
        for (name, is_json) in
            [("a.json", true), ("a.JSON", true), ("b/a.Json", true), ("a", false), ("json", false)]
        {
            assert_eq!(is_json_name(name).ok(), Some(is_json), "{name}");
        }
        for name in ["a.json.gz", "a.JSON.GZ", "a.clk.zst", "a.zip", "a.xz", "a.bz2", "a.7z", "a.tgz"] {
            assert!(matches!(is_json_name(name), Err(IngestError::Form(_))), "{name}");
        }
    }

    #[test]
    fn pieces_of_any_size_are_judged_alike() {
        let packed = [&b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03"[..], &[7; 100]].concat();
        for size in [1, 3, 10, 64, 200] {
            let mut head = Head::default();
            let looked = packed.chunks(size).try_for_each(|piece| head.look(piece));
            assert!(matches!(looked, Err(IngestError::Form(Form::Gzip))), "{size}");
        }
        let mut short = Head::default();
        short.look(&packed[..12]).unwrap();
        assert!(matches!(short.judge(), Err(IngestError::Form(Form::Gzip))));
    }
}
