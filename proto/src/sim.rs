//! A discrete-event network for the cores.
