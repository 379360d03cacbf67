"""What builds and deploys trueup; nothing of it is in the app."""
