//! scratch
use snippex_core::address_space::place;
use snippex_core::binary::Image;
use snippex_core::extract::extract;
use snippex_core::observation::Endpoint;
use snippex_exec::engine::{Engine, EngineSpec, RunnerEngine};
use snippex_exec::{CaseMaker, MemorySource};
use std::sync::Arc;
use std::time::Instant;
fn main() {
    let a: Vec<String> = std::env::args().collect();
    let bytes = std::fs::read(&a[1]).unwrap();
    let per: usize = a.get(2).map_or(16, |s| s.parse().unwrap());
    let image = Image::parse(&bytes).unwrap();
    let t = Instant::now();
    let index = extract(&image);
    println!("{} blocks in {:?}", index.len(), t.elapsed());
    let placement = place(&image.address_range(), image.position_independent()).unwrap();
    let blocks: Vec<Arc<_>> = index
        .iter()
        .filter(|b| b.unrunnable.is_none())
        .map(Arc::new)
        .collect();
    let n = blocks.len().min(a.get(3).map_or(8000, |s| s.parse().unwrap()));
    let step = (blocks.len() / n).max(1);
    let picked: Vec<_> = blocks.iter().step_by(step).take(n).cloned().collect();
    let chunks = picked.len().div_ceil(per);
    let mut native = RunnerEngine::start(EngineSpec::native()).unwrap();
    let mut qemu = RunnerEngine::start(EngineSpec::preset("qemu-x86_64").unwrap()).unwrap();
    println!("{} {:?}", qemu.identity().describe(), qemu.identity().features());
    let mut maker = CaseMaker::new(MemorySource::new(Some(&image), placement, 1), placement, 1, 64);
    let (mut td, mut tn, mut tq, mut tc) = (0.0, 0.0, 0.0, 0.0);
    let (mut runs, mut exits, mut same, mut pages, mut rw) = (0, 0, 0, 0, 0);
    let mut sig = std::collections::BTreeMap::<String, usize>::new();
    for c in 0..chunks {
        let batch: Vec<_> = picked.iter().skip(c).step_by(chunks).cloned().collect();
        let t = Instant::now();
        let groups = maker.make(&batch, &mut native).unwrap();
        td += t.elapsed().as_secs_f64();
        for g in &groups {
            pages += g.pages.len();
            rw += g
                .pages
                .iter()
                .filter(|p| p.access == snippex_core::case::Access::ReadWrite)
                .count();
        }
        for r in snippex_exec::batch::split(&groups) {
            let groups = &groups[r];
            let t = Instant::now();
            let rn = native.run(groups).unwrap();
            tn += t.elapsed().as_secs_f64();
            let t = Instant::now();
            let rq = qemu.run(groups).unwrap();
            tq += t.elapsed().as_secs_f64();
            let t = Instant::now();
            for g in 0..groups.len() {
                for i in 0..64 {
                    runs += 1;
                    match rn.endpoint(g, i) {
                        Some(Endpoint::Exit { .. }) => exits += 1,
                        Some(Endpoint::Signal(s)) => {
                            *sig.entry(format!(
                                "sig {} code {} {:?}",
                                s.number, s.code, groups[g].block.terminator
                            ))
                            .or_default() += 1
                        }
                        o => *sig.entry(format!("{o:?}")).or_default() += 1,
                    }
                    if rn.same_bits(&rq, g, i) {
                        same += 1;
                    }
                }
            }
            tc += t.elapsed().as_secs_f64();
        }
    }
    let r = runs as f64;
    println!(
        "runs {runs} completed {:.2}% same {:.2}% pages/block {:.2} rw {:.2}",
        exits as f64 / r * 100.0,
        same as f64 / r * 100.0,
        pages as f64 / picked.len() as f64,
        rw as f64 / picked.len() as f64
    );
    println!(
        "discover {:.0} ns/run, native {:.0} ns ({:.2} M/s), qemu {:.0} ns ({:.2} M/s), compare {:.0} ns",
        td / r * 1e9,
        tn / r * 1e9,
        r / tn / 1e6,
        tq / r * 1e9,
        r / tq / 1e6,
        tc / r * 1e9
    );
    for (k, v) in sig {
        println!("  {k}: {v} ({:.2}%)", v as f64 / r * 100.0);
    }
}
