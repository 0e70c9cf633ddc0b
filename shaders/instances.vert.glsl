// SPDX-License-Identifier: GPL-3.0-or-later
// One instance's vertex, in Blender's camera space (x right, y up, looking along -z).
//
// The texture "instances" holds four texels per instance: the three rows of camera_from_object and
// (id's low 16 bits, id's high 16 bits, -, -), since float32 holds whole numbers exactly only up to 2^24.
vec4 row_of(int instance, int row)
{
  int texel = instance * 4 + row;
  return texelFetch(instances, ivec2(texel % TEXELS_WIDE, texel / TEXELS_WIDE), 0);
}

void main()
{
  int instance = first + gl_InstanceID;
  vec4 r0 = row_of(instance, 0);
  vec4 r1 = row_of(instance, 1);
  vec4 r2 = row_of(instance, 2);
  vec4 name = row_of(instance, 3);

  vec4 local = vec4(position, 1.0);
  vec3 seen = vec3(dot(r0, local), dot(r1, local), dot(r2, local));
  // Cofactors transform normals as the inverse transpose does, without dividing by a determinant that may be 0.
  vec3 c0 = cross(r1.xyz, r2.xyz);
  vec3 c1 = cross(r2.xyz, r0.xyz);
  vec3 c2 = cross(r0.xyz, r1.xyz);
  float handedness = dot(r0.xyz, c0) < 0.0 ? -1.0 : 1.0;

  out_normal = vec3(dot(c0, normal), dot(c1, normal), dot(c2, normal)) * handedness;
  out_distance = -seen.z;
  out_handedness = handedness;
  out_id = uint(name.x) + (uint(name.y) << 16u);
  gl_Position = projection * vec4(seen, 1.0);
}
