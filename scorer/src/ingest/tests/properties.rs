use proptest::prelude::*;

use super::*;

/// Any document that is of a documented shape, with what it means.
fn any_document() -> impl Strategy<Value = (String, Stored)> {
    let record =
        (proptest::collection::vec(any::<u8>(), 16), proptest::collection::vec("[a-z\\\\\"é/]{0,5}", 0..4));
    (proptest::collection::vec(record, 1..20), 0..3, any::<bool>()).prop_map(|(records, shape, spaced)| {
        let blocks_of = |blocks: &Vec<String>| -> Vec<serde_json::Value> {
            blocks.iter().map(|block| block.clone().into()).collect()
        };
        let document = match shape {
            0 => serde_json::json!({"clknblocks": records.iter().map(|(bytes, blocks)| {
                [vec![base64(bytes).into()], blocks_of(blocks)].concat()
            }).collect::<Vec<_>>()}),
            1 => serde_json::json!({
                "encodings": records.iter().map(|(bytes, _)| base64(bytes)).collect::<Vec<_>>(),
                "blocks": records.iter().enumerate().map(|(i, (_, blocks))| (i.to_string(), blocks_of(blocks).into()))
                    .collect::<serde_json::Map<_, _>>(),
            }),
            _ => serde_json::json!({
                "blocks": records.iter().enumerate().map(|(i, (_, blocks))| (i.to_string(), blocks_of(blocks).into()))
                    .collect::<serde_json::Map<_, _>>(),
                "encodings": records.iter().enumerate().map(|(i, (bytes, _))| (i.to_string(), base64(bytes).into()))
                    .collect::<serde_json::Map<_, _>>(),
            }),
        };
        let text = if spaced { serde_json::to_string_pretty(&document) } else { serde_json::to_string(&document) };
        let encodings = records.iter().flat_map(|(bytes, _)| bytes.clone()).collect();
        let mut blocks: Vec<_> = records.iter().zip(0..).flat_map(|((_, blocks), record)| {
            // an empty block id is no block
            blocks.iter().filter(|block| !block.is_empty()).map(move |block| entry(record, block))
        }).collect();
        blocks.sort();
        (text.unwrap(), Stored { encodings, blocks })
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn it_does_not_matter_how_a_document_arrives((text, expected) in any_document(), chunk in 1usize..200) {
        let (contribution, mut stored) = take_in(text.as_bytes(), chunk, BLOCKING).unwrap();
        stored.blocks.sort();
        prop_assert_eq!(contribution.encoding_bytes, 16);
        let in_a_block: std::collections::BTreeSet<u32> = expected.blocks.iter().map(|(record, _)| *record).collect();
        prop_assert_eq!(contribution.records_without_block, Some(contribution.records - in_a_block.len() as u64));
        prop_assert_eq!(stored, expected);
    }

    #[test]
    fn pieces_of_any_size_parse_alike((text, _) in any_document(), cuts in proptest::collection::vec(0usize..4000, 0..6)) {
        let whole = output_of(text.as_bytes(), &[]);
        let mut cuts: Vec<_> = cuts.into_iter().map(|cut| cut.min(text.len())).collect();
        cuts.sort_unstable();
        prop_assert_eq!(output_of(text.as_bytes(), &cuts), whole);
    }

    #[test]
    fn a_damaged_document_never_panics((text, _) in any_document(), at in 0usize..4000, byte in any::<u8>(), cut in any::<bool>()) {
        let mut bytes = text.into_bytes();
        let at = at % bytes.len();
        if cut { bytes.truncate(at) } else { bytes[at] = byte }
        if let Err(error) = take_in(&bytes, 64, BLOCKING) {
            prop_assert!(error.to_string().len() < 1000);
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(take_in(&bytes, 16, PLAIN).is_err());
    }
}

fn output_of(document: &[u8], cuts: &[usize]) -> (Vec<u8>, Vec<u8>, Counted) {
    let mut parser = Document::new(Shape::Upload, &BLOCKING);
    let mut start = 0;
    for &end in cuts.iter().chain([&document.len()]) {
        parser.feed(&document[start..end]).unwrap();
        start = end;
    }
    let counted = parser.end().unwrap();
    let output = parser.output();
    (output.encodings.clone(), output.blocks.clone(), counted)
}
