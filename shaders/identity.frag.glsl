// SPDX-License-Identifier: GPL-3.0-or-later
// The instance id alone, for the sub-pixel draws of the mattes.
void main()
{
#ifdef CUTOUT
  discard_cut_out();
#endif
  name = out_id;
  gl_FragDepth = out_distance * frame.half_size.z;
}
