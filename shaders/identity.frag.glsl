// SPDX-License-Identifier: GPL-3.0-or-later
// The instance id alone, for the sub-pixel draws of the mattes.
void main()
{
  id = out_id;
  gl_FragDepth = out_distance * inverse_far;
}
