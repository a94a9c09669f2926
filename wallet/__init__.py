"""The learner's wallet: receives, keeps, backs up and shows credentials."""
