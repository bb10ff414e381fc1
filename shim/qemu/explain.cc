#include "shim/qemu/explain.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>

namespace coffer::shim {
namespace {

struct Hint {
  std::string_view fragment;
  std::string_view hint;
};

// The fragments that users paste into bug reports, and what they come from.
constexpr std::array kHints = {
    Hint{"Policy is not allowed",
         "the firmware refuses snp_guest_policy: its SMT, debug or ABI bits do not fit this host"},
    Hint{"sev_kvm_init: failed to initialize",
         "host kernel, QEMU and SEV firmware do not fit, SNP is off in the BIOS, or no ASID is "
         "free"},
    Hint{"failed to encrypt pflash rom", "this QEMU is too old for the host's kernel"},
    Hint{"SEV information block", "the firmware is no AMD SEV build of OVMF (AMDSEV.fd)"},
    Hint{"Firmware GUID Table block not found",
         "the firmware is no AMD SEV build of OVMF (AMDSEV.fd)"},
    Hint{"snp_launch_update_kernel_hashes",
         "the firmware has no area for kernel hashes: use an AMDSEV build of OVMF"},
    Hint{"kernel specified but guest firmware has no hashes table GUID",
         "the firmware has no area for kernel hashes: use an AMDSEV build of OVMF"},
    Hint{"Bad measurement", "snp_id_block was made for another launch measurement"},
    Hint{"KVM_TDX_INIT_MEM_REGION", "the TDX module is busy: retry"},
    Hint{"Could not access KVM kernel module", "/dev/kvm cannot be used: see 'coffer check'"},
    Hint{"Cannot allocate memory", "the host has too little memory for this VM"},
    Hint{"cannot set up guest memory", "the host has too little memory for this VM"},
    Hint{"'tdx-guest' is not a valid object type", "this QEMU has no TDX: 10.1 or later is needed"},
    Hint{"invalid object type: tdx-guest", "this QEMU has no TDX: 10.1 or later is needed"},
};

struct FirmwareError {
  int code;
  std::string_view meaning;
};

// SEV-SNP Firmware ABI Specification 1.55, table 7 (status codes).
constexpr std::array kFirmwareErrors = {
    FirmwareError{1, "invalid platform state"},
    FirmwareError{2, "invalid guest state"},
    FirmwareError{3, "invalid configuration"},
    FirmwareError{4, "a buffer is too small"},
    FirmwareError{5, "the platform is owned already"},
    FirmwareError{7, "the guest policy is not allowed on this host"},
    FirmwareError{10, "bad signature"},
    FirmwareError{11, "bad measurement: the ID block is for another launch"},
    FirmwareError{12, "the ASID is owned already"},
    FirmwareError{13, "invalid ASID"},
    FirmwareError{16, "DF_FLUSH is required"},
    FirmwareError{17, "a guest handle is invalid"},
    FirmwareError{18, "invalid command"},
    FirmwareError{20, "hardware platform error"},
    FirmwareError{21, "hardware unsafe"},
    FirmwareError{22, "invalid parameter: also an ID block's author key"},
    FirmwareError{23, "resource limit: no ASID or firmware memory is free"},
};

std::optional<int> firmware_code(std::string_view text) {
  constexpr std::string_view kKey = "fw_error=";
  const std::size_t at = text.find(kKey);
  if (at == std::string_view::npos) return std::nullopt;
  text.remove_prefix(at + kKey.size());
  const bool hex = text.starts_with("0x");
  if (hex) text.remove_prefix(2);
  int code = 0;
  const auto [end, error] =
      std::from_chars(text.data(), text.data() + text.size(), code, hex ? 16 : 10);
  if (error != std::errc{}) return std::nullopt;
  return code;
}

std::string hint_for(std::string_view text) {
  const auto hint = std::ranges::find_if(
      kHints, [&](const Hint& item) { return text.find(item.fragment) != std::string_view::npos; });
  if (hint != kHints.end()) return std::string(hint->hint);
  const auto code = firmware_code(text);
  if (!code) return "";
  const auto meaning = std::ranges::find(kFirmwareErrors, *code, &FirmwareError::code);
  return meaning == kFirmwareErrors.end() ? fmt::format("SEV firmware error {}", *code)
                                          : fmt::format("SEV firmware: {}", meaning->meaning);
}

bool holds(std::span<const std::string> lines, std::string_view fragment) {
  return std::ranges::any_of(
      lines, [&](const std::string& line) { return line.find(fragment) != std::string::npos; });
}

}  // namespace

std::string explain_qemu(std::span<const std::string> stderr_lines) {
  constexpr std::size_t kShown = 4;
  std::string text;
  std::size_t shown = 0;
  for (const auto& line : stderr_lines.last(std::min(stderr_lines.size(), 64UL))) {
    // Warnings come before the error and hide it.
    if (line.find("warning:") != std::string::npos) continue;
    if (shown++ == kShown) break;
    if (!text.empty()) text += "; ";
    text += line;
  }
  if (text.empty() && !stderr_lines.empty()) text = stderr_lines.back();
  const std::string hint = hint_for(text);
  return hint.empty() ? text : fmt::format("{} ({})", text, hint);
}

std::string panic_of(std::string_view console_line) {
  constexpr std::string_view kMark = "Kernel panic - not syncing";
  const std::size_t at = console_line.find(kMark);
  if (at == std::string_view::npos) return "";
  console_line.remove_prefix(at + kMark.size());
  while (console_line.starts_with(':') || console_line.starts_with(' ')) {
    console_line.remove_prefix(1);
  }
  return console_line.empty() ? "no reason given" : std::string(console_line);
}

std::string boot_stage_of(std::span<const std::string> console_lines) {
  if (console_lines.empty()) return "no output yet";
  if (holds(console_lines, "Kernel panic")) return "the kernel panicked";
  if (holds(console_lines, "Run /init") || holds(console_lines, "agent")) return "init was started";
  if (holds(console_lines, "Linux version") || holds(console_lines, "[    0.0")) {
    return "the kernel was booting";
  }
  return "the firmware was running";
}

}  // namespace coffer::shim
