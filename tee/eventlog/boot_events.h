// Digests that UEFI firmware, loaders and the Linux EFI stub measure, for predicting registers: the
// same for a CC measurement register (SHA-384) and a TPM's PCRs (any bank).
//
// Rules: TCG PC Client Platform Firmware Profile rev. 1.06, sections 3.3 and 10.4; what edk2's
// OvmfPkg and the kernel's drivers/firmware/efi/libstub do where the profile leaves it open.
#pragma once

#include <string_view>

#include "base/bytes.h"
#include "base/error.h"
#include "tee/eventlog/event_log.h"

namespace coffer::eventlog {

// The Authenticode hash of a PE image: without its checksum, its certificate table and the entry
// that points to it (Windows Authenticode Portable Executable Signature Format, rev. 1.0,
// "Calculating the PE image hash"). kInvalidArgument when it is no PE/COFF image or its headers
// lie.
[[nodiscard]] Result<Bytes> authenticode(Alg alg, BytesView image);

// UEFI variables of a platform without Secure Boot, as OVMF has them with an empty variable store.
enum class EmptyVariable : std::uint8_t { kSecureBoot, kPk, kKek, kDb, kDbx };
[[nodiscard]] Result<Bytes> empty_variable_digest(Alg alg, EmptyVariable variable);

// EV_SEPARATOR of a good boot: the hash of four zero bytes.
[[nodiscard]] Result<Bytes> separator_digest(Alg alg);
// An EV_EFI_ACTION or EV_ACTION: the hash of its text.
[[nodiscard]] Result<Bytes> action_digest(Alg alg, std::string_view text);
inline constexpr std::string_view kCallingEfiApplication =
    "Calling EFI Application from Boot Option";
inline constexpr std::string_view kExitBootServices = "Exit Boot Services Invocation";
inline constexpr std::string_view kExitBootServicesSuccess =
    "Exit Boot Services Returned with Success";

// EV_EFI_VARIABLE_BOOT of OVMF's only boot option: BootOrder {0000}, and Boot0000 "UiApp" in the
// firmware's own volume.
[[nodiscard]] Result<Bytes> boot_order_digest(Alg alg);
[[nodiscard]] Result<Bytes> boot_ui_app_digest(Alg alg);

// LOADED_IMAGE::LoadOptions, measured by the EFI stub: the command line as UTF-16LE with its final
// NUL; with an initrd, OVMF's direct boot appends " initrd=initrd". kInvalidArgument when it is not
// UTF-8 within the Basic Multilingual Plane.
[[nodiscard]] Result<Bytes> load_options_digest(Alg alg, std::string_view command_line,
                                                bool has_initrd);

}  // namespace coffer::eventlog
