use snippex_core::address_space::place;
use snippex_core::binary::Image;
use snippex_core::extract::extract;
use snippex_core::group::Group;
use snippex_exec::engine::*;
use snippex_exec::*;
use std::sync::Arc;
fn main() {
    let a: Vec<String> = std::env::args().collect();
    let bytes = std::fs::read(&a[1]).unwrap();
    let addr = u64::from_str_radix(&a[2], 16).unwrap();
    let start: usize = a[3].parse().unwrap();
    let image = Image::parse(&bytes).unwrap();
    let index = extract(&image);
    let placement = place(&image.address_range(), image.position_independent()).unwrap();
    let block = Arc::new(index.get(index.find(addr).unwrap()).unwrap());
    println!("{:?} {:02x?}", block.terminator, block.bytes);
    let mut native = RunnerEngine::start(EngineSpec::native()).unwrap();
    let mut qemu = RunnerEngine::start(EngineSpec::preset("qemu-x86_64").unwrap()).unwrap();
    let mut maker = CaseMaker::new(MemorySource::new(Some(&image), placement, 1), placement, 1, 64);
    let g = maker.make(&[block], &mut native).unwrap().remove(0);
    for p in g.pages.iter() {
        println!("page {:x} {:?}", p.address, p.access);
    }
    println!("{:x?}", g.starts[start].gpr);
    let one = [Group::of(&g.case(start))];
    for e in [&mut native, &mut qemu] {
        match e.run(&one).unwrap().outcome(0, 0) {
            Outcome::Ran(o) => println!("{:x?} {:x?} mem {:?}", o.endpoint, o.state.gpr, o.memory.len()),
            o => println!("{o:?}"),
        }
    }
    let all = [g];
    for e in [&mut native, &mut qemu] {
        match e.run(&all).unwrap().outcome(0, start) {
            Outcome::Ran(o) => println!("{:x?} {:x?} mem {:?}", o.endpoint, o.state.gpr, o.memory.len()),
            o => println!("{o:?}"),
        }
    }
}
