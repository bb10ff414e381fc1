// `coffer guest-image build`: the reference values of pods that boot the image.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "cli/command.h"
#include "cli/kbs_corim.h"

namespace coffer::cli {

// What is measured beside the image, and is the class's configuration; empty: not for that TEE.
struct ImageMeasure {
  std::string snp_firmware = {}, tdx_firmware = {}, tpm_memory = {};
  std::string append = {}, vcpu_type = "EPYC-v4";
  std::vector<std::string> vcpus = {};
  CorimOptions corim = {};
};
void declare_image_measure(Options& options, ImageMeasure& measure);
// kInvalidArgument names an option that has no effect without another.
[[nodiscard]] Status check_image_measure(const ImageMeasure& measure);

struct MeasuredImage {
  std::filesystem::path kernel, initrd;
  std::string source;  // for the values' provenance
};
// Writes them beside the initramfs, its extension replaced by ".values.json" and ".values.corim".
// Returns the files; none when nothing is to be measured.
[[nodiscard]] Result<std::vector<std::filesystem::path>> write_image_values(
    const ImageMeasure& measure, const MeasuredImage& image);

}  // namespace coffer::cli
