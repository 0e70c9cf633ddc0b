# SPDX-License-Identifier: GPL-3.0-or-later
"""sha256 of the embedded model's files, written by `scripts/train_mini.py export`."""

SHA256 = {
    "lucid_profile.json": "1819fd68f0cf9f2af861551eabc057cba32e527f3d9d1ae16ff4e074fc4890f3",
    "model_index.json": "b4a2166a34e5ed661a897d1a8befc7078296fd6865578cea5dbf51f5ff3a4458",
    "scheduler/scheduler_config.json": "d4763c17dfcb40a00b7538042be5897ce5bb9c32a9e466f5d5ccdd84333f9cc2",
    "text_encoder/config.json": "ffe72ab54352194548ee38f7a3b1b25aaf9092b011595209e3e6db2b14d985f7",
    "text_encoder/model.safetensors": "41179ecc8d155dca254f9c78666d73ed61a8bc3c3816dd5aff7b85d2845bf2ae",
    "tokenizer/tokenizer.json": "8dd552918ff82bcb520c05180de3bc5f3ed8a20d90e8fc2bebc1810604bc0748",
    "tokenizer/tokenizer_config.json": "d142516dbe19f43e7d4fab41d6b4034a3a0dc250c2729c780044d4e275e16a3c",
    "transformer/config.json": "3b2f1aa66dad38ce36a48f75d8a3fa65ead9ac78301d718aceff51c86e0db13a",
    "transformer/diffusion_pytorch_model.safetensors": "cd8ae98536c380d528abf183588f42011b78ca2494a21f7b6d20a526514127c7",
    "vae/config.json": "c17bba7da82f2ee3bbd817c995b20889fa6467a39b3fb9e118da3ef14c675c60",
    "vae/diffusion_pytorch_model.safetensors": "9c95f2e97879acb50fb02c147937e51d82549ea11cc95e6a1c70385c532ce768",
}
