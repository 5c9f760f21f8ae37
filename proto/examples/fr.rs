#![allow(clippy::all)]
use std::time::Duration;
use peerbed_proto::sim::Link;
use peerbed_proto::sim::swarm::*;
use peerbed_proto::swarm::*;
fn main(){
 let a: Vec<f64> = std::env::args().skip(1).map(|x|x.parse().unwrap()).collect();
 let (n,free,mib,us,round)=(a[0] as usize,a[1] as usize,a[2] as usize,a[3],a[4]);
 let content=Content::random(mib<<20,256*1024,1);
 let options=Options{choke_interval:Duration::from_secs_f64(round),optimistic_interval:Duration::from_secs_f64(3.0*round),rate_window:Duration::from_secs_f64(2.0*round),..Options::default()};
 for seed in 0..2u64 {
 let mut specs=vec![PeerSpec::new(Link::mbit(us, 20.0, Duration::from_millis(2)), Start::Whole)];
 for i in 0..n { let mut s=PeerSpec::new(Link::mbit(2.0, 20.0, Duration::from_millis(10)), Start::Empty); s.options=options.clone(); if i<free {s.conduct=Conduct::FreeRider} specs.push(s);}
 let mut sim=SwarmSim::new(content.clone(), specs, Costs::NONE, seed);
 let mut t=10; if seed==0 { for k in [2u64,4,6,9] { sim.run_until(Duration::from_secs(k)); for id in [1u32,2,10,15] { let c=sim.core(peerbed_proto::PeerId(id)).unwrap(); println!("t{k} peer {id} prog {:.2} up: {}", c.progress().bytes as f64/c.progress().bytes_total as f64, c.neighbours(sim.now()).map(|v| format!("{}:{:.2}{}{}", v.peer.0, v.upload_rate*8e-6, if v.unchoked {"u"} else {""}, if v.interested {"i"} else {""})).collect::<Vec<_>>().join(" ")); } } }
 while t<4000 { t+=5; sim.run_until(Duration::from_secs(t)); if sim.figures().completed.iter().flatten().count()==n {break} }
 let f=sim.figures(); let m=|r: std::ops::Range<usize>| { let l=r.len() as f64; f.completed[r].iter().flatten().sum::<f64>()/l };
 let bits=(mib<<20) as f64*8.0; let b=(bits/us/1e6).max(n as f64*bits/(us*1e6+2e6*(n-free) as f64));
 println!("bound {b:.1} givers {:.3} riders {:.3} last giver {:.3} last {:.3}", m(1+free..n+1)/b, m(1..1+free)/b, f.completed[1+free..].iter().flatten().copied().fold(0.0,f64::max)/b, f.last().unwrap()/b);
 }
}
