// SPDX-License-Identifier: GPL-3.0-or-later
// One instance's vertex, in Blender's camera space (x right, y up, looking along -z).
//
// The texture "instances" holds ten texels per instance: the three rows of camera_from_object; for the next and for the
// previous frame three rows that give (clip x, clip y, depth in metres) from a point in object space; then (id's low 16
// bits, id's high 16 bits, known in the next frame, in the previous one). The id is in halves since float32 holds whole
// numbers exactly only up to 2^24.
vec4 texel_of(int instance, int which)
{
  int texel = instance * 10 + which;
  return texelFetch(instances, ivec2(texel % TEXELS_WIDE, texel / TEXELS_WIDE), 0);
}

vec3 placed(int instance, int first_row, vec3 local)
{
  vec4 point = vec4(local, 1.0);
  return vec3(dot(texel_of(instance, first_row), point), dot(texel_of(instance, first_row + 1), point),
              dot(texel_of(instance, first_row + 2), point));
}

void main()
{
  int instance = first + gl_InstanceID;
  vec4 name = texel_of(instance, 9);
  vec3 seen = placed(instance, 0, position);
  out_distance = -seen.z;
  out_id = uint(name.x) + (uint(name.y) << 16u);
  gl_Position = frame.projection * vec4(seen, 1.0);
  // sub-pixel moves for mattes, in normalised device coordinates
  gl_Position.xy += offset * gl_Position.w;

#ifdef SURFACE
  vec3 r0 = texel_of(instance, 0).xyz;
  vec3 r1 = texel_of(instance, 1).xyz;
  vec3 r2 = texel_of(instance, 2).xyz;
  // Cofactors transform normals as the inverse transpose does, without dividing by a determinant that may be 0.
  vec3 c0 = cross(r1, r2);
  vec3 c1 = cross(r2, r0);
  vec3 c2 = cross(r0, r1);
  out_handedness = dot(r0, c0) < 0.0 ? -1.0 : 1.0;
  out_normal = vec3(dot(c0, normal), dot(c1, normal), dot(c2, normal)) * out_handedness;
#endif

#ifdef REST
  out_rest = rest;
  out_material = material;
#endif

#ifdef MOTION
#  ifdef DEFORMING
  vec3 next = next_position;
  vec3 previous = previous_position;
#  else
  vec3 next = position;
  vec3 previous = position;
#  endif
  out_here = vec3((frame.projection * vec4(seen, 1.0)).xy, -seen.z);
  out_next = placed(instance, 3, next);
  out_previous = placed(instance, 6, previous);
  out_known = name.zw;
  out_uv = uv;
#endif

#ifdef CUTOUT
  out_image_uv = image_uv;
#endif
}
