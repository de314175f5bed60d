//! Measures Seawall beside its peers.
mod cases; mod harness; mod operation; mod peers;
fn main() {
    let e = if std::env::args().any(|a| a == "--quick") { harness::Effort::QUICK } else { harness::Effort::FULL };
    let bare = 1.5;
    for m in harness::measure(&cases::all(), e) {
        println!("{:22} {:18} {:9.2} {:9.2} {:9.2} x{:<6.1} {:.2} {:.0} {:?} {:?}", m.row, m.contender, m.ns.low, m.ns.median, m.ns.high, m.ns.low/bare, m.allocations, m.heap, m.future, m.opens_after);
    }
}
