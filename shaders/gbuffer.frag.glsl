// SPDX-License-Identifier: GPL-3.0-or-later
// What the camera sees first: its surface (normal in OpenCV camera axes, depth in metres along the camera's z), what it
// is (instance id); with REST its rest position and its material id; with MOTION where it is in the neighbouring frames
// (pixels from here, then depth there, 0 where it is not known), its UV coordinates beside these. Blender allows six
// targets.
#ifdef MOTION
vec2 pictured(vec3 clip)
{
  return frame.half_size.w > 0.5 ? clip.xy : clip.xy / clip.z;
}

vec3 moved(vec3 there, float known)
{
  if (known < 0.5 || there.z <= 0.0) {
    return vec3(0.0);
  }
  return vec3((pictured(there) - pictured(out_here)) * frame.half_size.xy, there.z);
}
#endif

void main()
{
#ifdef CUTOUT
  discard_cut_out();
#endif
  vec3 facing = normalize(out_normal);
  // A mirrored instance turns the winding round; the side the camera sees is the one the normal is given for.
  if (gl_FrontFacing != (out_handedness > 0.0)) {
    facing = -facing;
  }
  surface = vec4(facing.x, -facing.y, -facing.z, out_distance);
  name = out_id;
#ifdef REST
  rest_position = vec4(out_rest, out_material);
#endif
#ifdef MOTION
  forward_flow = vec4(moved(out_next, out_known.x), out_uv.x);
  backward_flow = vec4(moved(out_previous, out_known.y), out_uv.y);
#endif
  // Linear depth keeps float32's relative precision at any distance; 1/z would crowd it all at the near plane.
  gl_FragDepth = out_distance * frame.half_size.z;
}
