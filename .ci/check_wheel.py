"""A wheel is small, its library is stripped, and it holds what an installed package needs: check_wheel.py WHEEL."""

import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

LARGEST = 3_000_000  # bytes

path = Path(sys.argv[1])
size = path.stat().st_size
print(f"{path.name}: {size / 1e6:.2f} MB")
if size > LARGEST:
    sys.exit(f"the wheel should have at most {LARGEST / 1e6:.0f} MB.")
with tempfile.TemporaryDirectory() as folder:
    zipfile.ZipFile(path).extractall(folder)
    files = [file for file in Path(folder).rglob("*") if file.is_file()]
    libraries = [file for file in files if file.suffix in {".so", ".pyd"}]
    if not libraries or not any(file.name == "py.typed" for file in files):
        sys.exit("the wheel should hold the compiled core and py.typed.")
    if stray := [str(file.relative_to(folder)) for file in files if file.suffix in {".pyx", ".cpp", ".hpp", ".a"}]:
        sys.exit(f"the wheel should hold no sources; it holds {', '.join(stray)}.")
    if readelf := shutil.which("readelf"):
        for library in libraries:
            sections = subprocess.run([readelf, "-SW", library], capture_output=True, text=True, check=True).stdout
            if ".symtab" in sections or ".debug_info" in sections:
                sys.exit(f"{library.name} should be stripped.")
        print("stripped")
