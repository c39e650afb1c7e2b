//! From a file to chosen blocks: images and their pages, extraction, hostile files, selection.

mod crypto;
mod extraction;
mod hostile;
mod pages;
mod selection;
mod support;
