//! Round trips, the stability of the format, and hostile input.

use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::arbitrary::{arbitrary_cases, arbitrary_observations, arbitrary_states};
use crate::block::{Block, Origin, Terminator};
use crate::case::{PAGE_SIZE, Page, PageAccess, Placement};
use crate::observation::Endpoint;

pub(crate) fn known_case() -> Case {
    let block = Block {
        address: 0x40_1000,
        bytes: vec![0x48, 0x01, 0xd8, 0x74, 0x02],
        instruction_count: 2,
        terminator: Terminator::Jcc,
        successors: vec![0x40_1007, 0x40_1005],
        origin: Origin::Symbol,
        unrunnable: None,
    };
    Case {
        block: Arc::new(block),
        placement: Placement {
            image_base: 0x1000,
            code_base: 0x2000,
        },
        state: MachineState::default(),
        pages: Arc::new([Page {
            address: 0x7000,
            access: PageAccess::ReadWrite,
            content: Arc::new([7; PAGE_SIZE]),
        }]),
    }
}

/// Decodes damaged bytes as every kind; true when each decoder refused.
fn refused(bytes: &[u8]) -> bool {
    decode_case(bytes).is_err() && decode_observation(bytes).is_err() && decode_state(bytes).is_err()
}

/// Makes the checksum and the length fit again, as a forger would.
fn reseal(bytes: &mut [u8]) {
    use sha2::{Digest, Sha256};
    if bytes.len() < 20 {
        return;
    }
    let length = u32::try_from(bytes.len() - 20).unwrap();
    bytes[8..12].copy_from_slice(&length.to_le_bytes());
    let digest = Sha256::new()
        .chain_update(&bytes[4..12])
        .chain_update(&bytes[20..])
        .finalize();
    bytes[12..20].copy_from_slice(&digest[..8]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_case_comes_back(case in arbitrary_cases()) {
        let (id, bytes) = encode_case(&case);
        let decoded = decode_case(&bytes).unwrap();
        prop_assert_eq!(CaseId::from_case(&decoded), id);
        prop_assert_eq!(decoded, case);
    }

    #[test]
    fn an_observation_comes_back(observation in arbitrary_observations()) {
        prop_assert_eq!(decode_observation(&encode_observation(&observation)).unwrap(), observation);
    }

    #[test]
    fn a_state_comes_back(state in arbitrary_states()) {
        prop_assert_eq!(decode_state(&encode_state(&state)).unwrap(), state);
    }

    #[test]
    fn a_cut_is_refused(observation in arbitrary_observations(), keep in any::<prop::sample::Index>()) {
        let bytes = encode_observation(&observation);
        prop_assert!(refused(&bytes[..keep.index(bytes.len())]));
    }

    #[test]
    fn a_flipped_bit_is_refused(case in arbitrary_cases(), at in any::<prop::sample::Index>(), bit in 0..8u8) {
        let mut bytes = encode_case(&case).1;
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        prop_assert!(refused(&bytes));
    }

    /// With a forged checksum anything may decode, but it must decode to something that encodes to the same
    /// bytes again: there is one encoding of a value.
    #[test]
    fn forged_bytes_decode_canonically_or_not_at_all(
        case in arbitrary_cases(), at in any::<prop::sample::Index>(), patch in any::<[u8; 8]>(),
    ) {
        let mut bytes = encode_case(&case).1;
        let at = 20 + at.index(bytes.len() - 20);
        let end = bytes.len().min(at + 8);
        bytes[at..end].copy_from_slice(&patch[..end - at]);
        reseal(&mut bytes);
        if let Ok(decoded) = decode_case(&bytes) {
            prop_assert_eq!(encode_case(&decoded).1, bytes);
        }
    }

    #[test]
    fn noise_is_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(refused(&bytes));
        let mut forged = encode_state(&MachineState::default())[..20].to_vec();
        forged.extend(&bytes);
        reseal(&mut forged);
        prop_assert!(refused(&forged));
    }

    #[test]
    fn a_case_id_is_read_as_it_is_written(id in any::<[u8; 32]>()) {
        prop_assert_eq!(CaseId(id).to_string().parse(), Ok(CaseId(id)));
    }
}

#[test]
fn the_format_is_stable() {
    // Changes when the layout changes: raise VERSION then, and keep reading the old one.
    let id = CaseId::from_case(&known_case()).to_string();
    assert_eq!(
        id,
        "55501c3aabd53cc2b51ff3d5a5118d881648fb587897ba1c420c94c4ff997ec6"
    );
}

#[test]
fn huge_lengths_are_refused_without_memory() {
    // The length of the block's bytes is the second field, 8 bytes into the payload.
    let mut bytes = encode_case(&known_case()).1;
    for length in [u64::MAX, 1 << 40, MAX_PAYLOAD as u64, MAX_PAYLOAD as u64 + 1] {
        bytes[28..36].copy_from_slice(&length.to_le_bytes());
        reseal(&mut bytes);
        assert!(
            matches!(decode_case(&bytes), Err(CodecError::Malformed(_))),
            "{length}"
        );
    }
    bytes[8..12].copy_from_slice(&u32::MAX.to_le_bytes());
    assert!(matches!(decode_case(&bytes), Err(CodecError::TooLong { .. })));
}

#[test]
fn errors_say_what_is_wrong() {
    let bytes = encode_state(&MachineState::default());
    let mut newer = bytes.clone();
    newer[4] = 2;
    assert!(
        decode_state(&newer)
            .unwrap_err()
            .to_string()
            .contains("use a newer snippex")
    );
    assert!(matches!(
        decode_case(&bytes),
        Err(CodecError::Kind { found: 3, .. })
    ));
    assert!(matches!(
        decode_state(b"\x7fELF and then some more"),
        Err(CodecError::Magic)
    ));
    assert!(matches!(
        decode_state(&bytes[..100]),
        Err(CodecError::Length { found: 100, .. })
    ));
}

#[test]
fn pages_out_of_order_are_refused() {
    let mut case = known_case();
    let page = case.pages[0].clone();
    case.pages = Arc::new([
        page.clone(),
        Page {
            address: 0x8000,
            ..page
        },
    ]);
    let mut bytes = encode_case(&case).1;
    let second = bytes.len() - 4096 - 8 - 4 - 8;
    bytes[second..second + 8].copy_from_slice(&0x7000_u64.to_le_bytes());
    reseal(&mut bytes);
    assert!(matches!(
        decode_case(&bytes),
        Err(CodecError::Invalid("pages are not in ascending order"))
    ));
    bytes[second..second + 8].copy_from_slice(&0x7001_u64.to_le_bytes());
    reseal(&mut bytes);
    assert!(matches!(decode_case(&bytes), Err(CodecError::Invalid(_))));
}

#[test]
fn a_wrong_case_id_is_refused() {
    for text in ["", "12", &"g".repeat(64), &"é".repeat(32), &"0".repeat(65)] {
        assert_eq!(text.parse::<CaseId>(), Err(ParseCaseIdError), "{text}");
    }
}

/// What wincode makes of a value, and whether it reads what bincode wrote.
fn wincode_agrees<T: Serialize + serde::de::DeserializeOwned>(value: &T) -> bool {
    let ours = frame::encode_payload(value);
    let theirs = <serde_wincode::SerdeCompat<T> as wincode::Serialize>::serialize(value).unwrap();
    let read = <serde_wincode::SerdeCompat<T> as wincode::Deserialize<'_>>::deserialize(&ours).unwrap();
    ours == theirs && frame::encode_payload(&read) == ours
}

/// bincode is no longer maintained: what it wrote can be written and read without it.
#[test]
fn wincode_writes_the_same_bytes() {
    let case = known_case();
    let wire = frame::encode_payload(&wire::CaseWire::from_case(&case));
    let block = (*case.block).clone();
    assert!(wincode_agrees(&block));
    assert!(wincode_agrees(&case.placement));
    assert!(wincode_agrees(&Endpoint::Exit { target: u64::MAX }));
    assert!(wincode_agrees(&(
        Some(1_u8),
        None::<u16>,
        "text".to_owned(),
        vec![(1_u16, 2_u16)],
        [3_u64; 4]
    )));
    // Byte strings are borrowed when they are read, so that this is compared as it is written.
    let theirs = <serde_wincode::SerdeCompat<wire::CaseWire<'_>> as wincode::Serialize>::serialize(
        &wire::CaseWire::from_case(&case),
    );
    assert_eq!(theirs.unwrap(), wire);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn wincode_writes_any_case_and_observation_alike(case in arbitrary_cases(), observation in arbitrary_observations()) {
        let theirs = <serde_wincode::SerdeCompat<wire::CaseWire<'_>> as wincode::Serialize>::serialize(
            &wire::CaseWire::from_case(&case),
        );
        prop_assert_eq!(theirs.unwrap(), frame::encode_payload(&wire::CaseWire::from_case(&case)));
        let theirs = <serde_wincode::SerdeCompat<wire::ObservationWire<'_>> as wincode::Serialize>::serialize(
            &wire::ObservationWire::from_observation(&observation),
        );
        prop_assert_eq!(theirs.unwrap(), frame::encode_payload(&wire::ObservationWire::from_observation(&observation)));
    }
}
