"""What a machine asks evdash: does it live, is it ready, how much has it done."""
