// SPDX-License-Identifier: GPL-3.0-or-later
// Alpha of a plain image, as Cycles decides whether its data passes see a surface: at or above the threshold. "uv_to_u" and
// "uv_to_v" are the rows of the affine map from UV to the image.
void discard_cut_out()
{
  vec3 at = vec3(out_image_uv, 1.0);
  if (texture(image, vec2(dot(uv_to_u.xyz, at), dot(uv_to_v.xyz, at))).r < threshold) {
    discard;
  }
}
