from taphouse.persist.packer import Packer as Packer
from taphouse.persist.unpacker import Unpacker as Unpacker

def wal_checksum(data: bytes, little: bool, first: int, second: int) -> tuple[int, int]: ...
