// SPDX-License-Identifier: GPL-3.0-or-later
// Transmittance, emission and expected depth of all grids between the near plane and the first surface.
//
// The texture "table" holds a row per grid: the three rows of index_from_camera (OpenCV axes), (shape, first row in
// "grids"), extinction, (emission, reach of the row in "curves", or 0). "grids" holds the values, z running fastest. A ray is origin + z way with z in metres
// along the camera's z; in a grid's index that is again a line.
struct Grid {
  vec3 origin;
  vec3 way;
  ivec3 shape;
  int row;
};

Grid grid_at(int number, vec3 origin, vec3 way)
{
  vec4 r0 = texelFetch(table, ivec2(0, number), 0);
  vec4 r1 = texelFetch(table, ivec2(1, number), 0);
  vec4 r2 = texelFetch(table, ivec2(2, number), 0);
  vec4 r3 = texelFetch(table, ivec2(3, number), 0);
  Grid grid;
  grid.origin = vec3(dot(r0.xyz, origin) + r0.w, dot(r1.xyz, origin) + r1.w, dot(r2.xyz, origin) + r2.w);
  grid.way = vec3(dot(r0.xyz, way), dot(r1.xyz, way), dot(r2.xyz, way));
  grid.shape = ivec3(r3.xyz);
  grid.row = int(r3.w);
  return grid;
}

// Where the ray is within one voxel of the values, beyond which they are 0; x > y where it never is.
vec2 span_of(Grid grid)
{
  vec3 slope = mix(grid.way, vec3(1e-30), lessThan(abs(grid.way), vec3(1e-30)));
  vec3 one = (vec3(-1.0) - grid.origin) / slope;
  vec3 other = (vec3(grid.shape) - grid.origin) / slope;
  vec3 enter = min(one, other);
  vec3 leave = max(one, other);
  return vec2(max(max(enter.x, enter.y), enter.z), min(min(leave.x, leave.y), leave.z));
}

float value_at(Grid grid, ivec3 cell)
{
  if (any(lessThan(cell, ivec3(0))) || any(greaterThanEqual(cell, grid.shape))) {
    return 0.0;
  }
  int texel = grid.row * WIDE + cell.z + grid.shape.z * (cell.y + grid.shape.y * cell.x);
  return max(texelFetch(grids, ivec2(texel % WIDE, texel / WIDE), 0).x, 0.0);
}

// The voxels around a point: "low" and "high" in z, each (x, y) = (0, 0), (1, 0), (0, 1), (1, 1); "part" of the way.
struct Cell {
  vec4 low;
  vec4 high;
  vec3 part;
};

// Not the sampler's own interpolation, whose weights have 8 bits on many devices.
Cell cell_at(Grid grid, float z)
{
  vec3 place = grid.origin + z * grid.way;
  vec3 corner = floor(place);
  ivec3 at = ivec3(corner);
  Cell cell = Cell(vec4(0.0), vec4(0.0), place - corner);
  if (all(greaterThanEqual(place, vec3(-1.0))) && all(lessThanEqual(place, vec3(grid.shape)))) {
    cell.low = vec4(value_at(grid, at), value_at(grid, at + ivec3(1, 0, 0)),
                    value_at(grid, at + ivec3(0, 1, 0)), value_at(grid, at + ivec3(1, 1, 0)));
    cell.high = vec4(value_at(grid, at + ivec3(0, 0, 1)), value_at(grid, at + ivec3(1, 0, 1)),
                     value_at(grid, at + ivec3(0, 1, 1)), value_at(grid, at + ivec3(1, 1, 1)));
  }
  return cell;
}

float value_of(Cell cell)
{
  vec4 face = mix(cell.low, cell.high, cell.part.z);
  vec2 edge = mix(face.xy, face.zw, cell.part.y);
  return mix(edge.x, edge.y, cell.part.x);
}

vec3 curve_at(int number, float value, float reach)
{
  float place = min(value / reach, 1.0) * float(CURVE - 1);
  int low = min(int(place), CURVE - 2);
  vec3 below = texelFetch(curves, ivec2(low, number), 0).xyz;
  vec3 above = texelFetch(curves, ivec2(low + 1, number), 0).xyz;
  return mix(below, above, place - float(low));
}

// A curve is of the voxels and then interpolated, as Cycles does it: it looks at one voxel by chance.
vec3 curve_of(int number, Cell cell, float reach)
{
  vec3 x0y0 = mix(curve_at(number, cell.low.x, reach), curve_at(number, cell.high.x, reach), cell.part.z);
  vec3 x1y0 = mix(curve_at(number, cell.low.y, reach), curve_at(number, cell.high.y, reach), cell.part.z);
  vec3 x0y1 = mix(curve_at(number, cell.low.z, reach), curve_at(number, cell.high.z, reach), cell.part.z);
  vec3 x1y1 = mix(curve_at(number, cell.low.w, reach), curve_at(number, cell.high.w, reach), cell.part.z);
  return mix(mix(x0y0, x1y0, cell.part.x), mix(x0y1, x1y1, cell.part.x), cell.part.y);
}

// (1 - exp(-x)) / x, the mean transmittance of a step of optical depth x; a series where the difference loses digits.
vec3 mean_through(vec3 x)
{
  vec3 series = 1.0 - x * (0.5 - x * (1.0 / 6.0 - x * (1.0 / 24.0 - x / 120.0)));
  return mix((1.0 - exp(-x)) / max(x, vec3(1e-30)), series, lessThan(x, vec3(0.2)));
}

// 1 / x - 1 / (exp(x) - 1): where in such a step, from 0 to 1, its light is taken on average.
vec3 mean_place(vec3 x)
{
  vec3 series = 0.5 - x * (1.0 / 12.0 - x * x * (1.0 / 720.0 - x * x / 30240.0));
  return mix(1.0 / max(x, vec3(1e-30)) - 1.0 / (exp(min(x, vec3(80.0))) - 1.0), series, lessThan(x, vec3(1.0)));
}

void main()
{
  vec2 seen = (vec2(gl_FragCoord.x, float(height) - gl_FragCoord.y) - camera.zw) / camera.xy;
  vec3 origin = orthographic != 0 ? vec3(seen, 0.0) : vec3(0.0);
  vec3 way = orthographic != 0 ? vec3(0.0, 0.0, 1.0) : vec3(seen, 1.0);
  float metres = length(way);
  float end = texelFetch(stop, ivec2(gl_FragCoord.xy), 0).x;

  // sums, not products, so that a thin medium keeps its digits
  vec3 optical = vec3(0.0);
  vec3 glow = vec3(0.0);
  vec3 taken = vec3(0.0);
  vec3 moment = vec3(0.0);
  float from = near;
  // a ray enters and leaves each grid once, so that there are never more pieces
  for (int piece = 0; piece <= 2 * count && from < end; piece++) {
    float to = end;
    float fastest = 0.0;
    for (int number = 0; number < count; number++) {
      Grid grid = grid_at(number, origin, way);
      vec2 span = span_of(grid);
      if (span.x < span.y && span.y > from) {
        bool inside = span.x <= from;
        to = min(to, inside ? span.y : span.x);
        fastest = max(fastest, inside ? length(grid.way) : 0.0);
      }
    }
    // steps of half a voxel; none where the ray is outside every grid
    int steps = int(ceil((to - from) * fastest * 2.0));
    float size = (to - from) / float(max(steps, 1));
    for (int number = 0; number < steps; number++) {
      float begin = from + float(number) * size;
      float middle = begin + 0.5 * size;
      vec3 extinction = vec3(0.0);
      vec3 emission = vec3(0.0);
      for (int other = 0; other < count; other++) {
        Grid grid = grid_at(other, origin, way);
        Cell cell = cell_at(grid, middle);
        float value = value_of(cell);
        if (value > 0.0) {
          vec4 given = texelFetch(table, ivec2(5, other), 0);
          extinction += value * texelFetch(table, ivec2(4, other), 0).xyz;
          emission += given.xyz * (given.w > 0.0 ? curve_of(other, cell, given.w) : vec3(value));
        }
      }
      vec3 thick = extinction * (size * metres);
      vec3 share = exp(-optical) * mean_through(thick);
      glow += emission * (size * metres) * share;
      taken += thick * share;
      moment += thick * share * (begin + size * mean_place(thick));
      optical += thick;
    }
    from = to;
  }

  vec3 through = exp(-optical);
  float left = (through.x + through.y + through.z) / 3.0;
  float weight = taken.x + taken.y + taken.z;
  light = vec4(glow, min(left, 1.0));
  depth = left < 1.0 && weight > 0.0 ? (moment.x + moment.y + moment.z) / weight : uintBitsToFloat(0x7f800000u);
}
