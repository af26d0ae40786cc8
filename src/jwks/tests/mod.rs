mod life;
mod script;

// #[cfg(feature = "controller")]
// https
// #[cfg(feature = "controller")]
// tenant
