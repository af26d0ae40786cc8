mod life;
mod script;

#[cfg(feature = "controller")]
mod egress;
#[cfg(feature = "controller")]
mod guarded;
#[cfg(feature = "controller")]
mod https;
#[cfg(feature = "controller")]
mod tenant;
