//! From a file to chosen blocks: images and their pages, extraction, hostile files, selection.

mod crypto;
mod extraction;
mod hostile;
mod pages;
mod relocatable;
mod selection;
mod support;
