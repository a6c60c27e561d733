/* What monitors say, a part of driver.c. */
#if @TOP@_MEMORIES > 0
void @top@_faults(int wrong[@TOP@_MEMORIES], int corrected[@TOP@_MEMORIES])
{
    for (size_t k = 0; k < @TOP@_MEMORIES; k++) {
        const UINTPTR at = CIRCUIT + FAULTY + k / 32 * 8;
        wrong[k] = (int)(Xil_In32(at) >> k % 32 & 1);
        corrected[k] = (int)(Xil_In32(at + 4) >> k % 32 & 1);
    }
}
#endif

#if @TOP@_RANGES > 0
static double signed_word(UINTPTR address, int frac)
{
    return ldexp((double)(int32_t)Xil_In32(address), -frac);
}

void @top@_ranges(struct @top@_range found[@TOP@_RANGES])
{
    for (size_t k = 0; k < @TOP@_RANGES; k++) {
        const struct watch *of = &watches[k];
        const UINTPTR at = CIRCUIT + of->at;
        double total = 0;
        Xil_Out32(CIRCUIT + PAGE, of->page);
        found[k] = (struct @top@_range){
            of->name, signed_word(at, of->frac), signed_word(at + 4, of->frac), {of->expected[0], of->expected[1]}, Xil_In32(at + 8), {0}, 0};
        for (size_t bin = 0; bin < 8; bin++) {
            found[k].bins[bin] = Xil_In32(at + 32 + 4 * bin);
            total += found[k].bins[bin];
        }
        for (size_t bin = 0; bin < 8 && of->is_calibrated && total > 0; bin++) {
            found[k].drift += fabs(found[k].bins[bin] / total - of->shares[bin]) / 2;
        }
    }
}
#endif
