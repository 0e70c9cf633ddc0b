// SPDX-License-Identifier: GPL-3.0-or-later
// What the camera sees first: its surface (normal in OpenCV camera axes, depth in metres along the camera's z) and the
// instance id.
void main()
{
  vec3 facing = normalize(out_normal);
  // A mirrored instance turns the winding round; the side the camera sees is the one the normal is given for.
  if (gl_FrontFacing != (out_handedness > 0.0)) {
    facing = -facing;
  }
  surface = vec4(facing.x, -facing.y, -facing.z, out_distance);
  id = out_id;
  // Linear depth keeps float32's relative precision at any distance; 1/z would crowd it all at the near plane.
  gl_FragDepth = out_distance * inverse_far;
}
