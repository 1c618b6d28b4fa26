"""The words of --help that are not about one option."""

from __future__ import annotations

from resample.files.formats import EXACT, EXTENSIONS
from resample_cli.modes import MAX_KERNEL_STRIDE

USAGE = """\
resample INPUT... (--scale S | --size WxH | --width W | --height H | --max-side N | --min-side N) [options]
       resample INPUT... --mode conv-transpose (--kernel K | --weights FILE[:NAME]) [options]
       resample INPUT --compare FILE (--scale S | ...) [--crop X,Y,W,H] [--reference MODE] [options]
       resample INPUT --mode pixel-unshuffle --factor R [options]
       resample INPUT... --mode pixel-shuffle -o FILE [options]"""

DESCRIPTION = (
    "Resize a picture to the pixels that torch computes, without torch. Also transposed convolution and pixel shuffle."
)

EPILOG = f"""\
sizes:
  All pairs name the horizontal side first: --size WIDTHxHEIGHT, --scale and --stride HORIZONTAL,VERTICAL. (In Python,
  resample takes (height, width), as torch does.) Sizes refer to the picture as it is seen, after its EXIF orientation.
  With --scale a side becomes int(side * S), and pixels lie where torch's scale_factor puts them.
  A side that follows in proportion is truncated, as in torchvision, and at least 1.
  --fit cover, for a WIDTH and a HEIGHT, cuts out the middle, as torchvision's Resize and CenterCrop; pad puts the
  picture in the middle of --background, black by default and clear where the picture has alpha. With --only shrink, or
  enlarge, a picture that would become larger, or smaller, keeps its pixels, and is written all the same.

method:
  --no-antialias is torch's default, --antialias what torchvision's Resize does, also where a picture grows: bicubic is
  then softer. --linear decodes values as sRGB does, mixes light, and codes them again: fine patterns keep their
  brightness. Palettes and bilevel pictures become RGB and gray, except in the nearest modes.

transposed convolution:
  --mode conv-transpose applies torch.nn.ConvTranspose2d to a picture, its values seen as 0 to 1, alpha as one channel
  more. A side becomes (side - 1) * stride - 2 * padding + dilation * (kernel - 1) + output padding + 1.
  --kernel enlarges by --stride, at most {MAX_KERNEL_STRIDE}, with weights that interpolate: away from the edges the
  pixels are those of --scale with that mode within a level, but where bicubic overshoots, which --scale clips twice.
  The default of --padding then makes sides exactly stride times as long.
  --weights takes them from a file: floats of shape (channels of the picture, channels of the output / groups, height,
  width), or (1, 1, height, width), which serves each channel by itself. Outputs have 1, 3 or 4 channels, or as many as
  the picture. FILE is .npy, or .safetensors with the NAME of a tensor or of the layer whose NAME.weight it is; NAME may
  be left out where one tensor has four axes. The .bias beside a .weight is added. For .safetensors:
  pip install 'resample-images[safetensors]'

phases:
  --mode pixel-unshuffle --factor R writes R * R pictures of every R-th pixel: car@phase-I-J.png holds the rows I,
  I + R, ... and the columns J, J + R, ... With R = 2 these are the planes of a Bayer mosaic. -o planes.tif makes the
  names planes-I-J.tif.
  --mode pixel-shuffle makes one picture of them again, in the order of their names, with what belongs to the first.
  Both are without loss: to PNG by default, TIFF for what PNG does not hold (CMYK), with -o to one of
  {" ".join(EXACT)}

compare:
  --compare resizes the one INPUT in every mode, with both conventions of --align-corners and, where it shrinks, with
  and without --antialias. --compare page.html writes a page that any browser shows, without a network: two lists choose
  what is left and what is right of a divider; zoom, differences and the command line of each result are there too.
  --compare sheet.png writes all results to one picture, each with a map of how it differs from --reference. A result
  with a side above 480 is shown in part, where the results differ most; --crop chooses the part instead.
  With --crop only that part is resized, so that at its edges nothing of the rest comes in.
  Both show RGB in 8 bits, without the ICC profile: levels of 16 bits and more from the least to the greatest of INPUT.
  Differences are in the levels that are shown; of transparent pictures, the most that any background shows.

several pictures:
  INPUT is a file, a folder (its pictures; with -r those of its folders too), a quoted pattern such as 'in/**/*.jpg', or
  @list.txt, a file with one of these a line, or NUL between them. One that fails does not stop the others, and is told
  of at the end.
  -o small/ writes each under its own name to a folder, with the tree of the folder it is from; -o with fields in braces
  is a template: -o '{{dir}}/{{stem}}-{{width}}{{ext}}'. {{dir}} is the folder of the input, {{tree}} where that is in
  the folder or pattern that was named, {{scale}} what the name would say of the size without -o, {{index}} counts the
  inputs, {{index:03}} with zeros. Braces in a name are doubled. Two inputs never become one output, and no output an
  INPUT, but by --in-place.
  Existing outputs are skipped, unless --on-exists says otherwise, and not taken for inputs where a folder or pattern is
  named: the same command again does what is left. With --resume it also does again what has changed, the input or the
  options, and nothing twice, which --in-place needs.
  --report and --json give a line for each input: number, path, status (done, planned, skipped, failed), size, output,
  output_size, seconds, warnings, reason, pictures (of a shard).
  Folders are not left by links; what a pattern finds twice that way is done once.

stores, shards, workers:
  INPUT, --output, @list and --report may be addresses that fsspec knows, as s3://bucket/in/; a folder there ends in /
  or has no extension. pip install 'resample-images[remote]'
  A tar file of pictures and labels (webdataset) becomes one: 'in-{{000..099}}.tar' names a hundred, {{shard}} is the
  name of each without .tar. What is no picture passes through; a picture that fails is left out.
  --scheduler hands the work to the workers of Dask, which open the same paths: pip install 'resample-images[cluster]'

output:
  The name is made from the size: car@2x.jpg, car@2x1.5x.jpg (two factors), car@640x424.jpg, or from the mode:
  car@conv-transpose.jpg, car@phase-0-1.png.
  INPUT - is stdin, -o - is stdout: in the format of the input, unless --format or the name of an output says another.
  The extension decides the format, or --format where the name is made:
  {" ".join(EXTENSIONS)}
  Files appear whole and together, or not at all. An existing file is kept unless --overwrite is given; the input is
  kept unless --in-place is.
  Orientation is applied (--orient); ICC profile, EXIF, XMP, comments (--metadata) and resolution are kept where the
  format has room for them, and a warning names what is lost. A JPEG from a JPEG keeps its quality.
  All frames of animations, with their times, and all pages are kept (--frames); to a format of one the first is
  written, and a warning says so.

examples:
  resample car.jpg --scale 2 --mode bilinear       write car@2x.jpg
  resample car.jpg --scale 2,1.5                   twice as wide, one and a half times as high
  resample car.jpg --size 1400x928 -o big.png      exactly 1400 wide and 928 high
  resample car.jpg --size 640                      640 wide, height in proportion (also: --size x480)
  resample car.jpg --size 224x224 --fit cover      the middle of it, as for a classifier
  resample - --scale 0.5 -o -                      from stdin to stdout
  resample scan.tif --max-side 1024 --mode bicubic
  resample car.jpg --mode conv-transpose --kernel bilinear --stride 2
  resample car.jpg --mode conv-transpose --weights decoder.safetensors:up1 --stride 2 --padding 1 -o up.png
  resample car.jpg --scale 2 --compare modes.html  see what each mode does, in a browser
  resample car.jpg --crop 300,240,60,45 --scale 6 --compare modes.png --reference lanczos
  resample photos/ -o small/ --max-side 1600       a folder; with -r its folders too
  resample photos/ -r --max-side 1600 --only shrink --in-place --resume done.ledger
  resample 'photos/*.jpg' -o '{{dir}}/{{stem}}-{{width}}{{ext}}' --scale 0.5 --report done.jsonl
  resample s3://bucket/in/ -r -o s3://bucket/out/ --max-side 512 --scheduler tcp://host:8786
  resample 'shards-{{000..099}}.tar' -o 'small-{{shard}}.tar' --scale 0.5
  resample mosaic.png --mode pixel-unshuffle --factor 2
  resample mosaic@phase-*.png --mode pixel-shuffle -o whole.png
  resample --scale 2 -- -odd-name.jpg              a name that starts with - comes last, after --

exit status: 0 done, 1 a file could not be read, used or written, 2 wrong usage or a size out of bounds, 3 no picture
found, 130 interrupted (143 and 129 by SIGTERM and SIGHUP). Messages go to stderr.
"""
