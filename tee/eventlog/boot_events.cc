#include "tee/eventlog/boot_events.h"

#include <fmt/format.h>

#include <array>

namespace coffer::eventlog {
namespace {

using Guid = std::array<std::uint8_t, 16>;

// 8be4df61-93ca-11d2-aa0d-00e098032b8c, EFI_GLOBAL_VARIABLE
constexpr Guid kGlobalVariable = {0x61, 0xdf, 0xe4, 0x8b, 0xca, 0x93, 0xd2, 0x11,
                                  0xaa, 0x0d, 0x00, 0xe0, 0x98, 0x03, 0x2b, 0x8c};
// d719b2cb-3d3a-4596-a3bc-dad00e67656f, EFI_IMAGE_SECURITY_DATABASE_GUID
constexpr Guid kImageSecurity = {0xcb, 0xb2, 0x19, 0xd7, 0x3a, 0x3d, 0x96, 0x45,
                                 0xa3, 0xbc, 0xda, 0xd0, 0x0e, 0x67, 0x65, 0x6f};
// 7cb8bdc9-f8eb-4f34-aaea-3ee4af6516a1, the volume of OVMF's DXE drivers
constexpr Guid kDxeVolume = {0xc9, 0xbd, 0xb8, 0x7c, 0xeb, 0xf8, 0x34, 0x4f,
                             0xaa, 0xea, 0x3e, 0xe4, 0xaf, 0x65, 0x16, 0xa1};
// 462caa21-7614-4503-836e-8ab6f4662331, UiApp
constexpr Guid kUiApp = {0x21, 0xaa, 0x2c, 0x46, 0x14, 0x76, 0x03, 0x45,
                         0x83, 0x6e, 0x8a, 0xb6, 0xf4, 0x66, 0x23, 0x31};

constexpr std::array<std::uint8_t, 4> kFourZeros{};

void put_u16(Bytes& out, unsigned value) {
  out.push_back(static_cast<std::uint8_t>(value & 0xffU));
  out.push_back(static_cast<std::uint8_t>(value >> 8U & 0xffU));
}

void put_u64(Bytes& out, std::uint64_t value) {
  for (unsigned i = 0; i < 8; ++i) out.push_back(static_cast<std::uint8_t>(value >> (8 * i)));
}

void put_ascii_as_utf16(Bytes& out, std::string_view text) {
  for (const char c : text) put_u16(out, static_cast<unsigned char>(c));
}

void put(Bytes& out, BytesView bytes) { out.insert(out.end(), bytes.begin(), bytes.end()); }

// The next code point of UTF-8 text; at most three bytes, since UCS-2 holds no more.
Result<unsigned> next_code_point(std::string_view& text) {
  const auto bad = [] {
    return fail(Code::kInvalidArgument,
                "convert command line to UTF-16: not UTF-8, or a character outside of UCS-2");
  };
  const auto byte = [&](std::size_t i) {
    return static_cast<unsigned>(static_cast<unsigned char>(text[i]));
  };
  const unsigned first = byte(0);
  const std::size_t size = first < 0x80                    ? 1
                           : first >= 0xc2 && first < 0xe0 ? 2
                           : first >= 0xe0 && first < 0xf0 ? 3
                                                           : 0;
  if (size == 0 || text.size() < size) return bad();
  unsigned point = size == 1 ? first : first & (size == 2 ? 0x1fU : 0x0fU);
  for (std::size_t i = 1; i < size; ++i) {
    if ((byte(i) & 0xc0U) != 0x80) return bad();
    point = point << 6U | (byte(i) & 0x3fU);
  }
  const bool overlong = size == 3 && point < 0x800;
  const bool surrogate = point >= 0xd800 && point < 0xe000;
  if (overlong || surrogate) return bad();
  text.remove_prefix(size);
  return point;
}

// A node of a device path (UEFI 2.10, section 10.3): type, subtype, length, a GUID.
void put_media_node(Bytes& out, std::uint8_t subtype, const Guid& guid) {
  out.push_back(4);
  out.push_back(subtype);
  put_u16(out, 4 + static_cast<unsigned>(guid.size()));
  put(out, guid);
}

}  // namespace

Result<Bytes> empty_variable_digest(Alg alg, EmptyVariable variable) {
  struct Names {
    const Guid& vendor;
    std::string_view name;
  };
  const auto names = [&]() -> Names {
    switch (variable) {
      case EmptyVariable::kSecureBoot:
        return {kGlobalVariable, "SecureBoot"};
      case EmptyVariable::kPk:
        return {kGlobalVariable, "PK"};
      case EmptyVariable::kKek:
        return {kGlobalVariable, "KEK"};
      case EmptyVariable::kDb:
        return {kImageSecurity, "db"};
      case EmptyVariable::kDbx:
        break;
    }
    return {kImageSecurity, "dbx"};
  }();
  Bytes data;
  put(data, names.vendor);
  put_u64(data, names.name.size());
  put_u64(data, 0);
  put_ascii_as_utf16(data, names.name);
  return hash(alg, data);
}

Result<Bytes> separator_digest(Alg alg) { return hash(alg, kFourZeros); }

Result<Bytes> action_digest(Alg alg, std::string_view text) { return hash(alg, as_bytes(text)); }

Result<Bytes> boot_order_digest(Alg alg) { return hash(alg, BytesView(kFourZeros).first(2)); }

// EFI_LOAD_OPTION (UEFI 2.10, section 3.1.3): attributes ACTIVE, HIDDEN, CATEGORY_APP; the length
// of the path; description; path.
Result<Bytes> boot_ui_app_digest(Alg alg) {
  constexpr unsigned kPathLength = 44;
  Bytes option;
  put_u16(option, 0x0109);
  put_u16(option, 0);
  put_u16(option, kPathLength);
  put_ascii_as_utf16(option, std::string_view("UiApp\0", 6));
  put_media_node(option, 7, kDxeVolume);
  put_media_node(option, 6, kUiApp);
  option.insert(option.end(), {0x7f, 0xff, 4, 0});
  return hash(alg, option);
}

Result<Bytes> load_options_digest(Alg alg, std::string_view command_line, bool has_initrd) {
  Bytes utf16;
  while (!command_line.empty()) {
    COFFER_TRY(const unsigned point, next_code_point(command_line));
    put_u16(utf16, point);
  }
  if (has_initrd) put_ascii_as_utf16(utf16, " initrd=initrd");
  put_u16(utf16, 0);
  return hash(alg, utf16);
}

}  // namespace coffer::eventlog
