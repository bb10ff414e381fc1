// From a pod's launch, as its shim describes it, to what the hardware is given: the digest of its
// initdata as the TEE's field holds it, the initdata disk, and for an emulated TEE the guest that
// its emulator plays.
//
// Asked in JSON, one object; answered in JSON, one object. Byte strings are hex.
//   {"tee": "snp", "emulated": true, "initdata": ANNOTATION, "disk": FILE, "guest": FILE,
//    "vendor": FOLDER, "tpm": FOLDER, "ak_certificate": FILE, "firmware": FILE, "kernel": FILE,
//    "initrd": FILE, "append": TEXT, "vcpus": 2, "memory_mib": 2048, "policy": 196608}
//   {"digest": "..", "host_data": "..","launch": {"measurement": "..", ...},
//    "reference_values": {"snp_launch_measurement": [".."], ...}}
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/error.h"

namespace coffer::launch {

struct Request {
  std::string tee = "none";  // none, snp, tdx, tpm, sample
  bool emulated = false;
  std::string initdata;  // the annotation's value; empty: none
  std::string disk;      // where the initdata disk is to be written
  // Emulated TEEs only.
  std::string
      guest;  // SNP and TDX: where the emulator's guest is to be written (0600: it holds keys)
  std::string tpm;             // where a software TPM is to be made: a folder that is not there yet
  std::string ak_certificate;  // and the certificate of its attestation key is to be written
  std::string vendor;          // the throwaway vendor's folder; made when it is not there
  std::string firmware, kernel, initrd, append;
  std::uint32_t vcpus = 1;
  std::uint64_t memory_mib = 0;
  std::uint64_t policy = 0x30000;
};

struct Answer {
  Bytes digest;                  // of the initdata; empty without
  Bytes host_data;               // the same as the TEE's field holds it; empty without one
  std::string launch;            // emulated: a JSON object, the launch's values by name
  std::string reference_values;  // and one by the names that coffer-kbs' default policy asks for
};

// kInvalidArgument names a member that is missing, unknown or of another type.
[[nodiscard]] Result<Request> parse_request(std::string_view json);
[[nodiscard]] std::string to_json(const Answer& answer);

[[nodiscard]] Result<Answer> prepare(const Request& request);

}  // namespace coffer::launch
