"""What comes with Runfolio and is built on its public names: command line, launcher, compatibility, measurements."""
