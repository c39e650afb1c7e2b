//! The pools of vector states that are in the shared file.

use std::sync::Arc;

use snippex_core::group::{Group, VectorState};
use snippex_core::state::X87State;
use snippex_runner::layout::VectorFile;

use crate::batch::MAX_VECTORS;
use crate::shared::Shared;

/// The pools that are in the file, in order.
#[derive(Debug, Default)]
pub(crate) struct LoadedPools(Vec<LoadedVectorPool>);

#[derive(Debug)]
pub(crate) struct LoadedVectorPool {
    vector_pool: Arc<[VectorState]>,
    /// Index of its first entry in the file.
    pub(crate) first: u32,
    /// [`VectorState::is_clean`] of each entry.
    pub(crate) clean: Vec<bool>,
}

impl LoadedPools {
    /// Makes sure that the pools of all groups are in the file, from file offset `vectors` on.
    pub(crate) fn load(&mut self, shared: &mut Shared, vectors: u64, groups: &[Group]) {
        for group in groups {
            if self.find(&group.vector_pool).is_some() {
                continue;
            }
            let first = self
                .0
                .last()
                .map_or(0, |last| last.first as usize + last.vector_pool.len());
            if first + group.vector_pool.len() > MAX_VECTORS {
                // Start again; the pools of one batch fit together.
                self.0.clear();
                return self.load(shared, vectors, groups);
            }
            let files: Vec<VectorFile> = group.vector_pool.iter().map(vector_file).collect();
            shared.write(vectors + (first * size_of::<VectorFile>()) as u64, &files);
            self.0.push(LoadedVectorPool {
                vector_pool: Arc::clone(&group.vector_pool),
                first: first as u32,
                clean: group.vector_pool.iter().map(VectorState::is_clean).collect(),
            });
        }
    }

    pub(crate) fn find(&self, vector_pool: &Arc<[VectorState]>) -> Option<&LoadedVectorPool> {
        self.0
            .iter()
            .find(|loaded| Arc::ptr_eq(&loaded.vector_pool, vector_pool))
    }
}

/// The wire form of a vector state (Intel SDM volume 1, table 10-2 for the first 512 bytes).
pub(crate) fn vector_file(state: &VectorState) -> VectorFile {
    let mut fx = [0; 512];
    let X87State {
        control,
        status,
        tags,
        st,
    } = state.x87;
    fx[0..2].copy_from_slice(&control.to_le_bytes());
    fx[2..4].copy_from_slice(&status.to_le_bytes());
    fx[4] = tags;
    fx[24..28].copy_from_slice(&state.mxcsr.to_le_bytes());
    for (index, register) in st.iter().enumerate() {
        fx[32 + 16 * index..][..10].copy_from_slice(register);
    }
    for (index, vector) in state.vectors[..16].iter().enumerate() {
        fx[160 + 16 * index..][..16].copy_from_slice(&vector[..16]);
    }
    VectorFile {
        fx,
        zmm: state.vectors,
        opmask: state.opmask,
    }
}
