//! Lists the files of images: `list_image IMAGE...`, with `--digest` each with a hash of its contents, with `--programs` only how many
//! programs there are, which reads the beginning of each file that may be one, as `snippex sources list` does.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;

use snippex_image::{Image, Layer, Limits};

fn main() {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    let digest = arguments.iter().any(|argument| argument == "--digest");
    let programs = arguments.iter().any(|argument| argument == "--programs");
    arguments.retain(|argument| argument != "--digest" && argument != "--programs");
    for path in arguments {
        let image = match Image::open(Path::new(&path), Limits::default()) {
            Ok(image) => image,
            Err(error) => {
                println!("{path}: {error}");
                continue;
            }
        };
        if programs {
            let files = image.list_files();
            let (found, problems) = image.find_programs(&files);
            println!(
                "{path}: {} files, {} programs {problems:?}",
                files.len(),
                found.len()
            );
            continue;
        }
        print_layer(image.layer(), 0);
        for file in image.list_files() {
            if digest {
                match image.read_file(&file) {
                    Ok(contents) => {
                        let mut hasher = DefaultHasher::new();
                        contents.hash(&mut hasher);
                        println!("{:016x} {:>10} {}", hasher.finish(), file.size, file.full_path());
                    }
                    Err(error) => println!("{error}: {}", file.full_path()),
                }
            } else {
                println!("{:>10} {}", file.size, file.full_path());
            }
        }
    }
}

fn print_layer(layer: &Layer, depth: usize) {
    let files = layer
        .files
        .map_or(String::new(), |files| format!(", {files} files"));
    println!(
        "{:depth$}{} {} {} bytes{files} {:?}",
        "",
        layer.name,
        layer.format,
        layer.size,
        layer.problems,
        depth = depth * 2
    );
    for inner in &layer.inner {
        print_layer(inner, depth + 1);
    }
}
