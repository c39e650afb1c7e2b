//! The content address of a group: what was run, to find its results again.

use std::fmt;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::frame;
use super::id::write_hex;
use crate::case::{Page, PageAccess};
use crate::group::{Group, Start, VectorState};

/// Separates these digests from all others of this program; the number is the version of what is hashed.
const DOMAIN: &[u8] = b"snippex group 1\0";

/// SHA-256 over a group's block, placement, pages and start states. Two groups have the same id exactly when they make
/// the same cases in the same order; how a vector pool is arranged does not matter.
///
/// It names no engine, and says nothing of how the cases came to be.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupId(pub [u8; 32]);

impl GroupId {
    /// Content address of `group`. For many groups a [`GroupHasher`] costs far less.
    #[must_use]
    pub fn from_group(group: &Group) -> Self {
        GroupHasher::default().hash_group(group)
    }
}

impl fmt::Display for GroupId {
    /// 64 lower-case hexadecimal digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(&self.0, f)
    }
}

impl fmt::Debug for GroupId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GroupId({self})")
    }
}

/// Makes ids of groups, and keeps the digests of the vector pool that they share: hashing vector registers anew for each group
/// costs more than running it.
#[derive(Debug, Default)]
pub struct GroupHasher {
    vector_pool: Option<KnownVectorPool>,
}

/// A vector pool, which is held so that none other can lie where it does, and the digests of its entries.
type KnownVectorPool = (Arc<[VectorState]>, Vec<[u8; 32]>);

impl GroupHasher {
    /// Content address of `group`.
    pub fn hash_group(&mut self, group: &Group) -> GroupId {
        let mut hash = Sha256::new();
        hash.update(DOMAIN);
        let block = frame::encode_payload(&*group.block);
        add_length(&mut hash, block.len());
        hash.update(&block);
        hash.update(group.placement.image_base.to_le_bytes());
        hash.update(group.placement.code_base.to_le_bytes());
        add_length(&mut hash, group.pages.len());
        group.pages.iter().for_each(|page| add_page(&mut hash, page));
        add_length(&mut hash, group.starts.len());
        let vector_pool = self.digests(&group.vector_pool);
        for start in &group.starts {
            add_start(&mut hash, start);
            hash.update(vector_pool[start.vectors as usize]);
        }
        GroupId(hash.finalize().into())
    }

    fn digests(&mut self, vector_pool: &Arc<[VectorState]>) -> &[[u8; 32]] {
        if !self
            .vector_pool
            .as_ref()
            .is_some_and(|(known, _)| Arc::ptr_eq(known, vector_pool))
        {
            self.vector_pool = None;
        }
        let (_, digests) = self.vector_pool.get_or_insert_with(|| {
            (
                Arc::clone(vector_pool),
                vector_pool.iter().map(digest_vectors).collect(),
            )
        });
        digests
    }
}

fn add_length(hash: &mut Sha256, length: usize) {
    hash.update((length as u64).to_le_bytes());
}

fn add_page(hash: &mut Sha256, page: &Page) {
    hash.update(page.address.to_le_bytes());
    hash.update([match page.access {
        PageAccess::Read => 0,
        PageAccess::ReadWrite => 1,
    }]);
    hash.update(&page.content[..]);
}

fn add_start(hash: &mut Sha256, start: &Start) {
    for word in start
        .gpr
        .iter()
        .chain([&start.rflags, &start.fs_base, &start.gs_base])
    {
        hash.update(word.to_le_bytes());
    }
}

fn digest_vectors(state: &VectorState) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(state.x87.control.to_le_bytes());
    hash.update(state.x87.status.to_le_bytes());
    hash.update([state.x87.tags]);
    hash.update(state.x87.st.as_flattened());
    hash.update(state.mxcsr.to_le_bytes());
    hash.update(state.vectors.as_flattened());
    for mask in state.opmask {
        hash.update(mask.to_le_bytes());
    }
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::arbitrary::arbitrary_cases;
    use crate::codec::tests::known_case;

    type Change = fn(&mut Group);

    /// Each changes one component of a group, and no other.
    const CHANGES: [Change; 15] = [
        |group| Arc::make_mut(&mut group.block).address ^= 1,
        |group| Arc::make_mut(&mut group.block).bytes.push(0x90),
        |group| Arc::make_mut(&mut group.block).instruction_count += 1,
        |group| Arc::make_mut(&mut group.block).successors.push(7),
        |group| group.placement.image_base ^= 1,
        |group| group.placement.code_base ^= 1,
        |group| group.pages = group.pages.iter().skip(1).cloned().collect(),
        |group| group.starts.push(group.starts[0]),
        |group| group.starts[0].gpr[15] ^= 1,
        |group| group.starts[0].rflags ^= 1,
        |group| group.starts[0].fs_base ^= 1,
        |group| group.starts[0].gs_base ^= 1,
        |group| change_vectors(group, |state| state.mxcsr ^= 1),
        |group| change_vectors(group, |state| state.vectors[31][63] ^= 1),
        |group| change_vectors(group, |state| state.x87.st[7][9] ^= 1),
    ];

    fn change_vectors(group: &mut Group, change: fn(&mut VectorState)) {
        let mut vector_pool = group.vector_pool.to_vec();
        vector_pool.iter_mut().for_each(change);
        group.vector_pool = vector_pool.into();
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn equal_groups_have_equal_ids_however_the_vector_pool_lies(case in arbitrary_cases()) {
            let group = Group::from_case(&case);
            let mut arranged = Group::from_case(&case.clone());
            arranged.vector_pool = [arranged.vector_pool[0].clone(), arranged.vector_pool[0].clone()].into();
            arranged.starts[0].vectors = 1;
            let mut hasher = GroupHasher::default();
            prop_assert_eq!(hasher.hash_group(&group), GroupId::from_group(&arranged));
            prop_assert_eq!(hasher.hash_group(&arranged), hasher.hash_group(&group));
        }

        #[test]
        fn any_other_component_gives_another_id(case in arbitrary_cases(), change in 0..CHANGES.len()) {
            let group = Group::from_case(&case);
            let mut other = group.clone();
            CHANGES[change](&mut other);
            let removes_nothing = other.pages.len() == group.pages.len();
            prop_assume!(change != 6 || !removes_nothing);
            prop_assert_ne!(GroupId::from_group(&group), GroupId::from_group(&other));
        }
    }

    #[test]
    fn the_id_of_a_known_group_stays() {
        let id = GroupId::from_group(&Group::from_case(&known_case()));
        assert_eq!(
            id.to_string(),
            "b0d0d07572817ad72eb18606783227088d0b45336656fad94f1243500e3e53e1"
        );
    }
}
