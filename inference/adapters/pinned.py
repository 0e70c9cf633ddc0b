# SPDX-License-Identifier: GPL-3.0-or-later
"""sha256 of the embedded model's files, written by `scripts/train_mini.py export`."""

SHA256 = {
    "lucid_profile.json": "9fc6d9f67ac40123261640a88a00ad492249dab43888ecb345e539310537ee4a",
    "model_index.json": "b4a2166a34e5ed661a897d1a8befc7078296fd6865578cea5dbf51f5ff3a4458",
    "scheduler/scheduler_config.json": "d4763c17dfcb40a00b7538042be5897ce5bb9c32a9e466f5d5ccdd84333f9cc2",
    "text_encoder/config.json": "4e443188f316aab99b1063e73e652c27ead3a728a6f9f7a874a2fd443bdb8415",
    "text_encoder/model.safetensors": "f02da359a95090c46aba21295ef8f54fa101fab2adcf5b00c7cd0f3166d468b0",
    "tokenizer/tokenizer.json": "ceb52e29929a18ecfbcfdfe992635d02a0ba668dbf141aa0c8a4d8131881549c",
    "tokenizer/tokenizer_config.json": "d142516dbe19f43e7d4fab41d6b4034a3a0dc250c2729c780044d4e275e16a3c",
    "transformer/config.json": "b6e74e5c818434db71b3cdf55f747d75e743ba5982cf5e87c54c52d860715aa6",
    "transformer/diffusion_pytorch_model.safetensors": "ae1c194fa1bcd4347fb658d0c0c40150bd149d6187acaaba407cb685fec7e8b8",
    "vae/config.json": "c17bba7da82f2ee3bbd817c995b20889fa6467a39b3fb9e118da3ef14c675c60",
    "vae/diffusion_pytorch_model.safetensors": "65949a65197aafd1508f13d5c063b9c5ad63039dccf0eece512ef290888bbaeb",
}
