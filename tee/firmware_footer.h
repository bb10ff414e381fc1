// The table of GUIDs at the end of an OVMF firmware image, where SEV and TDX find their metadata.
//
// Layout: edk2 OvmfPkg/ResetVector/Ia16/ResetVectorVtf0.asm. The table ends 32 bytes before the end
// of the image and is read backwards: each entry is {data, u16 size of the whole entry, GUID}; the
// last one (the first that is read) is the footer {u16 size of the table, footer GUID}. GUIDs are
// in UEFI (mixed-endian) octet order.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"

namespace coffer::tee {

struct FooterEntry {
  std::string guid;  // "00f771de-1a7e-4fcb-890e-68c77e2fb44e"
  BytesView data;    // of the image
};

class FirmwareFooter {
 public:
  // `image` must outlive the footer. An image without a table gives an empty one; kInvalidArgument
  // when a size in it lies or a GUID stands twice.
  [[nodiscard]] static Result<FirmwareFooter> parse(BytesView image);

  [[nodiscard]] const std::vector<FooterEntry>& entries() const { return entries_; }
  [[nodiscard]] std::optional<BytesView> find(std::string_view guid) const;
  // Entry `guid` read as one u32, an offset from the end of the image: the image from there on.
  // Nothing without the entry; kInvalidArgument when the offset is 0 or beyond the image.
  [[nodiscard]] Result<std::optional<BytesView>> metadata(std::string_view guid) const;

 private:
  BytesView image_;
  std::vector<FooterEntry> entries_;
};

// Text of 16 octets in UEFI order.
[[nodiscard]] std::string uefi_guid_text(BytesView octets);
// The inverse; the text must be well formed (it is a constant of ours).
[[nodiscard]] Bytes uefi_guid_octets(std::string_view text);

}  // namespace coffer::tee
